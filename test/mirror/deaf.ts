/** Loaded by `--import` into a daemon under test: connections to one port are refused, as from behind a firewall. */
import { Socket } from 'node:net';

const port = Number(process.env['BUNNYDB_TEST_DEAF']);
const connect: unknown = Reflect.get(Socket.prototype, 'connect');
if (typeof connect !== 'function') throw new Error('a socket connects in another way');

function leadsThere(one: unknown): boolean {
  return (
    one === port || (typeof one === 'object' && one !== null && 'port' in one && one.port === port)
  );
}

Reflect.set(Socket.prototype, 'connect', function (this: Socket, ...args: unknown[]): unknown {
  // Port 1: nobody listens there.
  return Reflect.apply(connect, this, args.flat().some(leadsThere) ? [1, '127.0.0.1'] : args);
});
