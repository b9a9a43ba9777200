#!/usr/bin/env node
/** argv -> verb. The only place with process exit, signals and standard streams. */
import { styleText } from 'node:util';
import { CommanderError } from 'commander';
import { EXIT } from './cli/exit-codes.ts';
import { buildProgram } from './cli/program.ts';
import { driverCode } from './core/errors.ts';
import { createLog } from './core/log.ts';

/** Longer than any safe point is away. */
const STOP_TIMEOUT_MS = 5_000;

const stopping = new AbortController();

/** A second signal ends the process at once; so does a stop that takes too long. */
function stop(): void {
  if (stopping.signal.aborted) process.exit(EXIT.failed);
  stopping.abort();
  setTimeout(() => process.exit(EXIT.failed), STOP_TIMEOUT_MS).unref();
}

/** Node itself would print all that a driver's error holds, pieces of rows among it. */
function crash(error: unknown): never {
  createLog('fatal', process.stderr.isTTY).fatal(
    { err: error },
    'ended by an error nobody expected',
  );
  process.exit(EXIT.failed);
}

process.on('uncaughtException', crash);
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
// Whoever read our results has read enough, as `head` does.
process.stdout.on('error', (error) => {
  if (driverCode(error) !== 'EPIPE') throw error;
  process.exit(EXIT.done);
});

const program = buildProgram({
  out: {
    print: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
    paint: (style, text) => styleText(style, text, { stream: process.stdout }),
    screen: () => {
      const { isTTY, columns, rows } = process.stdout;
      return isTTY ? { columns, rows } : undefined;
    },
  },
  signal: stopping.signal,
  onHangup: (listener) => process.on('SIGHUP', listener),
  createLog: (level) => createLog(level, process.stderr.isTTY),
  isGithub: process.env['GITHUB_ACTIONS'] === 'true',
  exit: (code) => {
    process.exitCode = code;
  },
});
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) crash(error);
  process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
}
