import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';
import { driverCode, wordsOf } from './errors.ts';

/** A structured log: constant message, variables as fields. */
export type Log = Logger;

/** The daemon's log on stderr: one JSON line each, or pretty on a terminal. */
export function createLog(level: string, prettyPrint: boolean): Log {
  const options = {
    level,
    base: { service: 'bunnydb' },
    serializers: { err: loggedError },
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  };
  // Synchronous, so that the last lines before an exit are not lost.
  const destination = prettyPrint
    ? pretty({ destination: 2, sync: true, ignore: 'service,pid,hostname' })
    : pino.destination({ fd: 2, sync: true });
  return pino(options, destination);
}

/** For callers that report in another way. */
export function silentLog(): Log {
  return pino({ level: 'silent' });
}

/** An error as a log has it. */
export interface LoggedError {
  readonly type: string;
  readonly code?: string;
  readonly message: string;
  /** Where it was made, without the message. */
  readonly stack?: string;
  readonly cause?: LoggedError;
  /** Of one that stands for several: each address that was tried. */
  readonly errors?: readonly LoggedError[];
}

const MAX_CAUSES = 5;

/**
 * Only what is named here: a driver's error carries pieces of rows in fields of its own (`detail`,
 * `where`), and so may what caused it.
 */
export function loggedError(thrown: unknown, depth = 0): LoggedError {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: String(thrown) };
  const code = driverCode(thrown);
  const stack = thrown.stack
    ?.replace(thrown.message, '')
    .split('\n')
    .filter((line) => /^ +at /.test(line))
    .join('\n');
  const inner = (error: unknown): LoggedError => loggedError(error, depth + 1);
  const isDeep = depth >= MAX_CAUSES;
  return {
    type: thrown.name,
    ...(code === undefined ? {} : { code }),
    message: wordsOf(thrown),
    ...(stack === undefined ? {} : { stack }),
    ...(thrown.cause === undefined || isDeep ? {} : { cause: inner(thrown.cause) }),
    ...(thrown instanceof AggregateError && !isDeep ? { errors: thrown.errors.map(inner) } : {}),
  };
}
