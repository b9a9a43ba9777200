import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { classify, driverCode } from '../core/errors.ts';
import type { Connection, ResyncStrategy, SecretReference } from '../core/mirror.ts';
import type { TableShape } from '../core/observed.ts';
import { formatTableName, parseTableName, sameTable } from '../core/table-name.ts';
import { observeServer } from '../observe/server.ts';
import { observeTableList, type TableList } from '../observe/table-list.ts';
import { whyNotMirrorable } from '../plan/check/mirrorable.ts';
import { openSession } from '../postgres/session.ts';
import { describeDiagnostic, type Diagnostic } from '../spec/diagnostic.ts';
import type { ConnectionSpec } from '../spec/document.ts';
import { readDirectory } from '../spec/read-directory.ts';
import { resolveConnection } from '../spec/resolve.ts';
import { readSnapshot, type Snapshot, type SourceFile } from '../spec/snapshot.ts';
import { nearest } from '../spec/suggest.ts';
import { isUrl, parseConnectionUrl } from './connection-url.ts';
import { EXIT } from './exit-codes.ts';
import { mirrorFileText, type LeftOut, type NewMirror } from './mirror-file-text.ts';
import { tellError, type Output } from './output.ts';
import { writeNewFile } from './write-new-file.ts';

export interface InitOptions {
  readonly dir: string;
  /** A Peer's name or a URL. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePasswordEnv?: string;
  readonly sourcePasswordFile?: string;
  readonly destinationPasswordEnv?: string;
  readonly destinationPasswordFile?: string;
  /** With `table`: only these; neither: every table. */
  readonly schema?: readonly string[];
  readonly table?: readonly string[];
  readonly strategy: ResyncStrategy;
  /** A path, or `-`; default NAME.yaml in `dir`. */
  readonly output?: string;
}

/** The directory as it is, and the file that is to come. */
interface Desk {
  readonly files: readonly SourceFile[];
  readonly path: string;
}

/**
 * `bunnydb init NAME`: writes a mirror file for the tables that the source has now. Connects to the source
 * alone, and changes nothing but that file, which must not be there yet. Exit codes: done, failed, usage.
 */
export async function init(name: string, options: InitOptions, out: Output): Promise<number> {
  const ends = [readEnd('source', options), readEnd('destination', options)] as const;
  const [source, destination] = ends;
  if (source instanceof UsageError || destination instanceof UsageError) {
    for (const end of ends) if (end instanceof UsageError) out.error(`error: ${end.message}\n`);
    return EXIT.usage;
  }
  try {
    const path = outputPath(name, options);
    const desk = { files: await readFiles(options.dir), path };
    if (options.output !== '-' && existsSync(path)) throw isThere(path);
    const blank = {
      name,
      source,
      destination,
      strategy: options.strategy,
      schemaPath: schemaPath(path),
    };
    // What is wrong without any table is said before anybody connects.
    const placeholder = mirrorFileText({ ...blank, tables: [PLACEHOLDER], leftOut: [] });
    const connection = sourceOf(validate(desk, placeholder, CONFLICTS), source);
    const choice = await choose(name, connection, options);
    const text = mirrorFileText({ ...blank, ...choice });
    validate(desk, text);
    if (options.output === '-') out.print(text);
    else
      await writeNewFile(path, text).catch((thrown: unknown) => {
        throw driverCode(thrown) === 'EEXIST' ? isThere(path) : thrown;
      });
    tell({ name, path, ...choice }, options, out);
    return EXIT.done;
  } catch (thrown) {
    tellError(out, thrown instanceof Refused ? thrown : classify(thrown), name);
    return EXIT.failed;
  }
}

class UsageError extends Error {}

/** Nothing was written; the message may have several lines. */
class Refused extends Error {
  readonly hint: string;

  constructor(message: string, hint = 'Nothing was written.') {
    super(message);
    this.hint = hint;
  }
}

function readEnd(
  side: 'source' | 'destination',
  options: InitOptions,
): string | ConnectionSpec | UsageError {
  const [env, file] = [options[`${side}PasswordEnv`], options[`${side}PasswordFile`]];
  if (env !== undefined && file !== undefined)
    return new UsageError(`--${side}-password-env and --${side}-password-file exclude each other`);
  const password: SecretReference | undefined =
    env === undefined ? (file === undefined ? undefined : { file }) : { env };
  const text = options[side];
  if (!isUrl(text)) {
    if (password === undefined) return text;
    return new UsageError(`--${side} is a Peer, which says itself where its password is`);
  }
  const spec = parseConnectionUrl(text, password);
  return typeof spec === 'string'
    ? new UsageError(
        `--${side}: ${spec}. A password is referred to: --${side}-password-env NAME or --${side}-password-file PATH`,
      )
    : spec;
}

function outputPath(name: string, { dir, output }: InitOptions): string {
  return output === undefined || output === '-' ? join(dir, `${name}.yaml`) : output;
}

/** A directory that is not there yet has no files. */
async function readFiles(dir: string): Promise<readonly SourceFile[]> {
  return existsSync(dir) ? (await readDirectory(dir)).files : [];
}

function isThere(path: string): Refused {
  return new Refused(
    `${path} is there already`,
    'Nothing was written. Give another --output, or --output - to print the file.',
  );
}

/** Relative where both lie below the working directory: no path of this machine goes into the file. */
function schemaPath(path: string): string {
  const schema = fileURLToPath(new URL('../../schemas/mirror.schema.json', import.meta.url));
  const isBelow = (one: string): boolean => !relative(process.cwd(), resolve(one)).startsWith('..');
  if (!isBelow(schema) || !isBelow(path)) return '../schemas/mirror.schema.json';
  return relative(dirname(resolve(path)), schema)
    .split(sep)
    .join('/');
}

const PLACEHOLDER = {
  name: { schema: 'public', name: 'placeholder' },
  foreignKeys: [],
  replicaIdentity: { kind: 'default', columns: [] },
} as const;

const CONFLICTS: readonly Diagnostic['code'][] = ['DestinationConflict', 'Loop'];

/** Reads the text as if it were a file of the directory already. Throws Refused with all that is wrong with it. */
function validate(
  { files, path }: Desk,
  text: string,
  passedOver: readonly Diagnostic['code'][] = [],
): Snapshot {
  const others = files.filter((file) => file.path !== path);
  const snapshot = readSnapshot([...others, { path, content: Buffer.from(text) }]);
  const errors = snapshot.diagnostics.filter(
    ({ file, severity, code }) =>
      file === path && severity === 'error' && !passedOver.includes(code),
  );
  if (errors.length === 0) return snapshot;
  throw new Refused(
    ['the file would not be valid:', ...errors.map(describeDiagnostic)].join('\n  '),
  );
}

function sourceOf(snapshot: Snapshot, source: string | ConnectionSpec): Connection {
  if (typeof source !== 'string') return resolveConnection(source, new Map());
  const peer = snapshot.peers.get(source);
  if (peer === undefined) throw new Error(`peer ${source} was not checked`);
  return peer;
}

type Choice = Pick<NewMirror, 'tables' | 'leftOut'>;

/** The tables that were asked for. Throws Refused for what is not there, and when none can be mirrored. */
async function choose(name: string, connection: Connection, options: InitOptions): Promise<Choice> {
  const session = { mirror: name, role: 'observer', readOnly: true } as const;
  await using source = await openSession(connection, session);
  const look = { source: await observeServer(source), publication: undefined };
  const list = await observeTableList(source);
  const publication = { name: `bunny_${name}`, managed: true };
  const judged = wanted(list, options).map((shape): LeftOut => ({
    shape,
    problems: whyNotMirrorable(shape, { publication }, look).map(({ error }) => error),
  }));
  const leftOut = judged.filter(({ problems }) => problems.length > 0);
  const tables = judged.filter((one) => !leftOut.includes(one)).map(({ shape }) => shape);
  if (tables.length > 0) return { tables, leftOut };
  const reasons = leftOut.flatMap(({ problems }) =>
    problems.map(({ message, hint }) => `${message}. ${hint}`),
  );
  throw new Refused(['no table can be mirrored', ...reasons].join('\n  '));
}

function wanted(
  { tables, partitions }: TableList,
  { schema: schemas = [], table = [] }: InitOptions,
): TableShape[] {
  const names = table.map((text) => {
    const name = parseTableName(text);
    const isNamed = (one: { readonly name: TableShape['name'] }): boolean =>
      name !== undefined && sameTable(one.name, name);
    if (tables.some(isNamed)) return text;
    const partition = partitions.find(isNamed);
    if (partition !== undefined)
      throw missing(`${text} is a partition of ${formatTableName(partition.root)}: name that one`);
    const known = tables.map((one) => formatTableName(one.name));
    throw missing(`the source has no table ${text}`, text, known);
  });
  for (const schema of schemas)
    if (!tables.some((one) => one.name.schema === schema))
      throw missing(`schema ${schema} of the source has no table`, schema, [
        ...new Set(tables.map((one) => one.name.schema)),
      ]);
  if (names.length === 0 && schemas.length === 0) return [...tables];
  const chosen = names.map((text) => parseTableName(text));
  return tables.filter(
    ({ name }) =>
      schemas.includes(name.schema) ||
      chosen.some((one) => one !== undefined && sameTable(one, name)),
  );
}

function missing(message: string, text = '', known: readonly string[] = []): Refused {
  const meant = nearest(text, known) ?? known.find((one) => one.endsWith(`.${text}`));
  return new Refused(message, meant === undefined ? undefined : `Did you mean ${meant}?`);
}

/** On stderr: stdout may be the file. */
function tell(
  { name, path, tables, leftOut }: Choice & { name: string; path: string },
  { output }: InitOptions,
  out: Output,
): void {
  for (const { shape, problems } of leftOut)
    for (const { message, hint } of problems)
      out.error(`left out ${formatTableName(shape.name)}: ${message}. ${hint}\n`);
  if (output === '-') return;
  out.print(
    `${path}: ${tables.length} ${tables.length === 1 ? 'table' : 'tables'}${leftOut.length === 0 ? '' : `, ${leftOut.length} left out`}\n`,
  );
  out.error(`next: bunnydb check ${name}, bunnydb plan ${name}, then commit it\n`);
}
