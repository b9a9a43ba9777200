#!/usr/bin/env node
/** argv -> verb. The only place with process exit, signals and standard streams. */
import { join } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { EXIT, EXIT_CODE_HELP } from './cli/exit-codes.ts';
import type { Output } from './cli/output.ts';
import { plan } from './cli/plan.ts';
import { run } from './cli/run.ts';
import { status } from './cli/status.ts';
import { validate } from './cli/validate.ts';
import { parseDurationMs, wait } from './cli/wait.ts';
import { createLog } from './core/log.ts';

const out: Output = {
  print: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
};

const stopping = new AbortController();
/** A second signal ends the process at once; so does a stop that takes longer than this. */
const STOP_TIMEOUT_MS = 5_000;

function stop(): void {
  if (stopping.signal.aborted) process.exit(EXIT.failed);
  stopping.abort();
  setTimeout(() => process.exit(EXIT.failed), STOP_TIMEOUT_MS).unref();
}

function program(): Command {
  const root = new Command('bunnydb')
    .description('Keeps PostgreSQL tables mirrored from one database into another, driven by YAML files.')
    .exitOverride()
    .addHelpText('after', EXIT_CODE_HELP);
  const verb = (name: string, description: string): Command =>
    root.command(name).description(description).exitOverride().option('--dir <dir>', 'directory of the mirror files', 'mirrors.d');
  const withStatus = (command: Command): Command =>
    command.option('--status-dir <dir>', 'directory of the status files (default: status in --dir)');

  withStatus(verb('run', 'mirror what the files say, until stopped'))
    .option('--once', 'end when every mirror is Ready or has failed', false)
    .addOption(new Option('--log-level <level>').choices(['debug', 'info', 'warn', 'error']).default('info'))
    .action(async (options: { dir: string; statusDir?: string; once: boolean; logLevel: string }) => {
      const log = createLog(options.logLevel, process.stderr.isTTY);
      const onHangup = (listener: () => void): void => void process.on('SIGHUP', listener);
      await finish(run(withStatusDir(options), { log, signal: stopping.signal, onHangup }));
    });

  verb('validate', 'check mirror files, without any database')
    .argument('[paths...]', 'files and directories (default: --dir)')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json', 'github']))
    .action(async (paths: string[], options: { dir: string; output?: 'text' | 'json' | 'github' }) => {
      const output = options.output ?? (process.env['GITHUB_ACTIONS'] === 'true' ? 'github' : 'text');
      await finish(validate(paths, { dir: options.dir, output }, { stdout: out.print }));
    });

  verb('plan', 'show what run would do; changes nothing')
    .argument('[name]', 'a mirror (default: all)')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .option('--detailed-exitcode', 'exit with 2 when there is something to do', false)
    .action(async (name: string | undefined, options: Parameters<typeof plan>[1]) => finish(plan(name, options, out)));

  withStatus(verb('status', 'show what the daemon wrote last'))
    .argument('[name]', 'a mirror (default: all)')
    .addOption(new Option('-o, --output <format>').choices(['table', 'yaml', 'json']).default('table'))
    .option('--watch', 'again every second, until stopped', false)
    .action(async (name: string | undefined, options: { dir: string; statusDir?: string; output: 'table'; watch: boolean }) =>
      finish(status(name, { ...withStatusDir(options), signal: stopping.signal }, out)),
    );

  withStatus(verb('wait', 'wait until the daemon has done what the file says now'))
    .argument('[name]', 'a mirror')
    .option('--all', 'all mirrors', false)
    .option('--for <what>', 'Ready, or resync=<schema.table>', parseGoal, 'Ready')
    .option('--timeout <duration>', 'such as 30s, 10m, 1h', parseTimeout, parseTimeout('10m'))
    .action(async (name: string | undefined, options: { dir: string; statusDir?: string; all: boolean; for: string; timeout: number }) => {
      if ((name === undefined) !== options.all) root.error('error: name a mirror, or --all');
      await finish(wait(name, { ...withStatusDir(options), timeoutMs: options.timeout, signal: stopping.signal }, out));
    });
  return root;
}

function withStatusDir<T extends { dir: string; statusDir?: string }>(options: T): T & { statusDir: string } {
  return { ...options, statusDir: options.statusDir ?? join(options.dir, 'status') };
}

function parseGoal(text: string): string {
  if (text === 'Ready' || text.startsWith('resync=')) return text;
  throw new InvalidArgumentError('It is Ready, or resync=<schema.table>.');
}

function parseTimeout(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError('It is a number with ms, s, m or h.');
  return ms;
}

async function finish(exitCode: Promise<number>): Promise<void> {
  process.exitCode = await exitCode;
}

process.on('SIGTERM', stop);
process.on('SIGINT', stop);
try {
  await program().parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
}
