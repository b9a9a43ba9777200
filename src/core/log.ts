import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';

/** A structured log: constant message, variables as fields. */
export type Log = Logger;

/** The driver's own error fields that may hold row data or credentials. */
const REDACTED = [
  'err.detail',
  'err.where',
  'err.internalQuery',
  'err.parameters',
  'err.config',
  '*.password',
];

/** The daemon's log on stderr: one JSON line each, or pretty on a terminal. */
export function createLog(level: string, prettyPrint: boolean): Log {
  const options = {
    level,
    base: { service: 'bunnydb' },
    redact: { paths: REDACTED, remove: true },
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
