/** The command line: which verbs there are and what they take. Each verb is a file of its own. */
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Log } from '../core/log.ts';
import { ownVersion } from '../core/version.ts';
import { parseHttpAddress, type HttpAddress } from '../daemon/http/http.ts';
import { check, type CheckOptions } from './check.ts';
import { EXIT_CODE_HELP } from './exit-codes.ts';
import { init, type InitOptions } from './init.ts';
import type { Output } from './output.ts';
import { plan } from './plan.ts';
import { resync } from './resync.ts';
import { run, type RunOptions } from './run.ts';
import { status } from './status.ts';
import { resume, suspend, type SuspendOptions } from './suspend.ts';
import { tables, type TablesOptions } from './tables.ts';
import { validate, type ValidateOptions } from './validate.ts';
import { verify } from './verify.ts';
import { parseDurationMs, wait } from './wait.ts';

/** What the process lends to its command. */
export interface Environment {
  readonly out: Output;
  /** Aborts when the process is told to stop. */
  readonly signal: AbortSignal;
  readonly onHangup: (listener: () => void) => void;
  readonly createLog: (level: string) => Log;
  readonly isGithub: boolean;
  /** Takes the exit code when the command has ended. */
  readonly exit: (code: number) => void;
}

interface Directories {
  readonly dir: string;
  readonly statusDir?: string;
}

/** Throws CommanderError for what it does not understand, and after --help. */
export function buildProgram(environment: Environment): Command {
  const root = new Command('bunnydb')
    .description(
      'Keeps PostgreSQL tables mirrored from one database into another, driven by YAML files.',
    )
    .version(ownVersion())
    .exitOverride()
    .addHelpText('after', EXIT_CODE_HELP);
  addRun(root, environment);
  addValidate(root, environment);
  addInit(root, environment);
  addTables(root, environment);
  addCheck(root, environment);
  addPlan(root, environment);
  addStatus(root, environment);
  addWait(root, environment);
  addResync(root, environment);
  addSuspend(root, environment);
  addVerify(root, environment);
  return root;
}

function addRun(root: Command, { signal, onHangup, createLog, exit }: Environment): void {
  withStatusDir(verb(root, 'run', 'mirror what the files say, until stopped'))
    .option('--once', 'end when every mirror is Ready or has failed', false)
    .option(
      '--removal-grace <duration>',
      'how long a file or a table must be gone to count as removed (default: 30s)',
      parseTimeout,
    )
    .option(
      '--http <host:port>',
      'answer /healthz, /readyz and /metrics there; :9090 is every address of the machine',
      parseHttp,
    )
    .addOption(
      new Option('--log-level <level>').choices(['debug', 'info', 'warn', 'error']).default('info'),
    )
    .action(async (options: RunFlags) => {
      const log = createLog(options.logLevel);
      const removalGraceMs = options.removalGrace ?? DEFAULT_GRACE_MS;
      const settings = { ...resolveDirectories(options), removalGraceMs };
      exit(await run(settings, { log, signal, onHangup }));
    });
}

const DEFAULT_GRACE_MS = 30_000;

interface RunFlags extends Directories, Pick<RunOptions, 'once' | 'http'> {
  readonly removalGrace?: number;
  readonly logLevel: string;
}

function addValidate(root: Command, { out, isGithub, exit }: Environment): void {
  verb(root, 'validate', 'check mirror files, without any database')
    .argument('[paths...]', 'files and directories (default: --dir)', parsePath)
    .addOption(
      new Option('-o, --output <format>', 'github by itself under GITHUB_ACTIONS').choices([
        'text',
        'json',
        'github',
        'sarif',
      ]),
    )
    .option(
      '--base <revision>',
      'of git: tell also what the changes since then will do; A... is where the branch left A',
      parseRevision,
    )
    .option('--strict', 'exit with 3 for warnings too', false)
    .action(async (paths: string[], options: Partial<ValidateOptions> & { dir: string }) => {
      const output = options.output ?? (isGithub ? 'github' : 'text');
      exit(await validate(paths, { ...options, output }, out));
    });
}

function addInit(root: Command, { out, exit }: Environment): void {
  verb(root, 'init', 'write a new mirror file from what a database has')
    .argument('<name>', 'of the new mirror')
    .requiredOption('--source <peer|url>', 'the database that is read')
    .requiredOption('--destination <peer|url>', 'the database that will be written')
    .option('--source-password-env <name>', 'the environment variable with its password')
    .option('--source-password-file <path>', 'the file with its password')
    .option('--destination-password-env <name>', 'likewise')
    .option('--destination-password-file <path>', 'likewise')
    .option('--schema <schemas...>', 'the tables of these (default: every table)')
    .option('--table <tables...>', 'these, written schema.table')
    .addOption(
      new Option('--strategy <strategy>', 'of resyncs')
        .choices(['truncate', 'swap'])
        .default('truncate'),
    )
    .option('--output <file>', 'the new file, - to print it (default: NAME.yaml in --dir)')
    .addHelpText('after', INIT_HELP)
    .action(async (name: string, options: InitOptions) => {
      exit(await init(name, options, out));
    });
}

const INIT_HELP = `
Connects to the source alone, and overwrites nothing. Tables that cannot be mirrored as they are come as
comments with the reason and the way out. For example:

  bunnydb init shop --source postgres://bunny@db.internal/shop?sslmode=verify-full --source-password-env SHOP_PASSWORD \\
    --destination staging --schema public --strategy swap`;

function addTables(root: Command, { out, exit }: Environment): void {
  verb(root, 'tables', 'list the tables of a database, and whether they can be mirrored')
    .argument('<name>', 'a Peer, or a mirror: the database that it reads')
    .option('--schema <schema>', 'only its tables')
    .option('--destination', 'of a mirror: the database that it writes', false)
    .addOption(new Option('-o, --output <format>').choices(['table', 'json']).default('table'))
    .action(async (name: string, options: TablesOptions) => {
      exit(await tables(name, options, out));
    });
}

function addCheck(root: Command, { out, exit }: Environment): void {
  verb(root, 'check', 'tell whether everything is there that run needs; changes nothing')
    .argument('[name]', 'a mirror (default: all)')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .addHelpText('after', CHECK_HELP)
    .action(async (name: string | undefined, options: CheckOptions) => {
      exit(await check(name, options, out));
    });
}

const CHECK_HELP = `
A line for each check, with the SQL or the edit that mends what fails. When only one of the two servers
answers, it is checked all the same. What passes here, run does not refuse.

Exit codes: 0 nothing failed; 1 something did; 3 a file is invalid.`;

function addPlan(root: Command, { out, exit }: Environment): void {
  verb(root, 'plan', 'show what run would do; changes nothing')
    .argument('[name]', 'a mirror (default: all)')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .option('--detailed-exitcode', 'exit with 2 when there is something to do', false)
    .addHelpText('after', PLAN_HELP)
    .action(async (name: string | undefined, options: Parameters<typeof plan>[1]) => {
      exit(await plan(name, options, out));
    });
}

const PLAN_HELP = `
First a unified diff: what the databases have against what they ought to have. Then the steps:
  +    made new
  ~    changed
  -/+  replaced
  -    taken out
  !    to know; nothing is done about it
  x    refused, failed or invalid, with the way out
Below a step is what it locks of tables that others use, and who waits. plan itself changes nothing and asks nothing.

Exit codes: 0 done; 2 with --detailed-exitcode when something is to be done or refused; 1 when a database
cannot be looked at; 3 when a file is invalid. Of several the last that applies in this order.
-o json is described by schemas/plan.schema.json.`;

function addStatus(root: Command, { out, signal, exit }: Environment): void {
  withStatusDir(verb(root, 'status', 'show what the daemon wrote last'))
    .argument('[name]', 'a mirror (default: all)')
    .addOption(
      new Option('-o, --output <format>').choices(['table', 'yaml', 'json']).default('table'),
    )
    .option(
      '--watch',
      'go on, until stopped: redrawn on a terminal, elsewhere a line for each change',
      false,
    )
    .action(
      async (
        name: string | undefined,
        options: Directories & { output: 'table' | 'yaml' | 'json'; watch: boolean },
      ) => {
        exit(await status(name, { ...resolveDirectories(options), signal }, out));
      },
    );
}

function addWait(root: Command, { out, signal, exit }: Environment): void {
  withStatusDir(verb(root, 'wait', 'wait until the daemon has done what the file says now'))
    .argument('[name]', 'a mirror')
    .option('--all', 'all mirrors', false)
    .option('--for <what>', 'Ready, or resync=<schema.table>', parseGoal, 'Ready')
    .option('--timeout <duration>', 'such as 30s, 10m, 1h (default: 10m)', parseTimeout)
    .action(
      async (
        name: string | undefined,
        options: Directories & { all: boolean; for: string; timeout?: number },
      ) => {
        if ((name === undefined) !== options.all) root.error('error: name a mirror, or give --all');
        const timeoutMs = options.timeout ?? DEFAULT_WAIT_MS;
        exit(await wait(name, { ...resolveDirectories(options), timeoutMs, signal }, out));
      },
    );
}

function addResync(root: Command, { out, exit }: Environment): void {
  withStatusDir(verb(root, 'resync', 'raise resync counters in the mirror file, and nothing else'))
    .argument('<name>', 'a mirror')
    .argument('[tables...]', 'schema.table at the source, as in the file')
    .option('--all', "every table: the mirror's own counter", false)
    .addHelpText('after', RESYNC_HELP)
    .action(async (name: string, tables: string[], options: Directories & { all: boolean }) => {
      if (tables.length > 0 === options.all) root.error('error: name tables, or give --all');
      exit(await resync(name, { ...resolveDirectories(options), tables }, out));
    });
}

const RESYNC_HELP = `
Every other byte of the file is kept. The new value is one more than what the file asks for and than
what was done. The daemon never edits a mirror file; to commit the change, or not, is yours.`;

function addSuspend(root: Command, { out, exit }: Environment): void {
  verb(root, 'suspend', 'stop all work on a mirror, by an edit of its file')
    .argument('<name>', 'a mirror')
    .option('--reason <text>', 'for those who meet it in the status')
    .action(async (name: string, options: SuspendOptions) => {
      exit(await suspend(name, options, out));
    });
  verb(root, 'resume', 'take up a suspended mirror again, by an edit of its file')
    .argument('<name>', 'a mirror')
    .action(async (name: string, options: SuspendOptions) => {
      exit(await resume(name, options.dir, out));
    });
}

function addVerify(root: Command, { out, signal, exit }: Environment): void {
  withStatusDir(verb(root, 'verify', 'compare both sides of tables now, while changes stream'))
    .argument('<name>', 'a mirror')
    .argument('[tables...]', 'source tables as in the file (default: all)')
    .option('--timeout <duration>', 'such as 30s, 10m, 1h (default: 10m)', parseTimeout)
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .action(
      async (
        name: string,
        tables: string[],
        options: Directories & { output: 'text' | 'json'; timeout?: number },
      ) => {
        const timeoutMs = options.timeout ?? DEFAULT_WAIT_MS;
        exit(
          await verify(name, tables, { ...resolveDirectories(options), timeoutMs, signal }, out),
        );
      },
    );
}

const DEFAULT_WAIT_MS = 10 * 60_000;

function verb(root: Command, name: string, description: string): Command {
  return root
    .command(name)
    .description(description)
    .exitOverride()
    .option('--dir <dir>', 'directory of the mirror files', 'mirrors.d');
}

function withStatusDir(command: Command): Command {
  return command.option(
    '--status-dir <dir>',
    'directory of the status files (default: status in --dir)',
  );
}

function resolveDirectories<T extends Directories>(options: T): T & { statusDir: string } {
  return { ...options, statusDir: options.statusDir ?? join(options.dir, 'status') };
}

/** `-` is how others are told to read what is piped into them. */
function parsePath(text: string, before: readonly string[] = []): string[] {
  if (text !== '' && text !== '-') return [...before, text];
  throw new InvalidArgumentError('It is a file or a directory; nothing is read from a pipe.');
}

function parseGoal(text: string): string {
  if (text === 'Ready' || text.startsWith('resync=')) return text;
  throw new InvalidArgumentError('It is Ready, or resync=<schema.table>.');
}

/** One that begins with a dash would be an option of git's. */
function parseRevision(text: string): string {
  if (text !== '' && !text.startsWith('-')) return text;
  throw new InvalidArgumentError('It is a branch, a tag or a commit.');
}

function parseHttp(text: string): HttpAddress {
  const address = parseHttpAddress(text);
  if (address === undefined)
    throw new InvalidArgumentError('It is HOST:PORT, :PORT or [IPV6]:PORT.');
  return address;
}

function parseTimeout(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError('It is a number with ms, s, m or h.');
  return ms;
}
