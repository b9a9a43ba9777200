/** A door in front of a server, that can be shut: then nothing behind it can be reached. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Connection } from '../../src/core/mirror.ts';

export class Gate implements AsyncDisposable {
  readonly #behind: Connection;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  private constructor(behind: Connection) {
    this.#behind = behind;
  }

  static async open(behind: Connection): Promise<Gate> {
    const gate = new Gate(behind);
    await gate.open();
    return gate;
  }

  /** The way through the gate. */
  get connection(): Connection {
    return { ...this.#behind, host: '127.0.0.1', port: this.#port };
  }

  async open(): Promise<void> {
    const server = createServer((client) => {
      const upstream = connect(this.#behind.port, this.#behind.host);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
        from.pipe(to);
      }
    });
    this.#server = server;
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Who is inside is thrown out. */
  async shut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    server.close();
    await once(server, 'close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shut();
  }
}
