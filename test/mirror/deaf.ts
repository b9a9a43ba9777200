/** Loaded by `--import` into a daemon under test: connections to one port are refused, as from behind a firewall. */
import { Socket } from 'node:net';

const port = Number(process.env['BUNNYDB_TEST_DEAF']);
const { connect } = Socket.prototype;

Socket.prototype.connect = function (this: Socket, ...args: readonly unknown[]): Socket {
  const wanted: readonly unknown[] = args.flat();
  const isRefused = wanted.some(
    (one) =>
      one === port ||
      (typeof one === 'object' && one !== null && 'port' in one && one.port === port),
  );
  const to = isRefused ? [1, '127.0.0.1'] : args;
  return Reflect.apply(connect as (...all: unknown[]) => Socket, this, to);
} as typeof connect;
