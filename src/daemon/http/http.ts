/** Probes and metrics over HTTP. It answers from memory: no request reaches a database, or changes anything. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from '../../core/log.ts';
import type { DaemonView } from './daemon-view.ts';
import type { Metrics } from './metrics.ts';
import { readinessOf, type Check } from './readiness.ts';

export interface HttpAddress {
  /** Every address of the machine when left out. */
  readonly host?: string;
  /** 0: any that is free; the log says which. */
  readonly port: number;
}

export interface HttpOptions {
  readonly address: HttpAddress;
  readonly metrics: Metrics;
  readonly view: () => DaemonView;
  readonly log: Log;
}

interface Answer {
  readonly code: number;
  readonly body: string;
  readonly type?: string;
}

/** `HOST:PORT`, `:PORT` or `[IPV6]:PORT`; undefined for anything else. */
export function parseHttpAddress(text: string): HttpAddress | undefined {
  const [, ipv6, name, digits] =
    /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:/@[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  const host = ipv6 ?? name ?? '';
  return host === '' ? { port } : { host, port };
}

/** Listens until it is disposed. Throws what the operating system says: EADDRINUSE, EACCES, ENOTFOUND … */
export async function serveHttp(options: HttpOptions): Promise<AsyncDisposable> {
  const { address, log } = options;
  const begun = new Beginning();
  const server = createServer((request, response) => {
    void answer(request, options, begun)
      .catch((error: unknown): Answer => {
        log.warn({ err: error, path: request.url }, 'a request failed');
        return { code: 500, body: 'failed\n' };
      })
      .then((found) => send(response, found));
  });
  server.listen({ ...address });
  await once(server, 'listening');
  server.on('error', (error) => log.warn({ err: error }, 'http failed'));
  const { address: host, port } = server.address() as AddressInfo;
  log.info({ host, port }, 'listening');
  return {
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Readiness that was reached stays: a mirror that comes later is no reason to take it back. */
class Beginning {
  #isOver = false;

  isOver(checks: readonly Check[]): boolean {
    this.#isOver ||= checks.every(({ isDone }) => isDone);
    return this.#isOver;
  }
}

async function answer(
  request: IncomingMessage,
  { metrics, view }: HttpOptions,
  begun: Beginning,
): Promise<Answer> {
  const [path, query] = (request.url ?? '').split('?', 2);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  switch (isRead ? path : undefined) {
    case '/healthz':
      return { code: 200, body: 'ok\n' };
    case '/readyz':
      return readiness(view(), begun, new URLSearchParams(query).has('verbose'));
    case '/metrics':
      return { code: 200, body: await metrics.render(view()), type: metrics.contentType };
    default:
      return { code: 404, body: 'there are /healthz, /readyz and /metrics, to GET\n' };
  }
}

function readiness(view: DaemonView, begun: Beginning, isVerbose: boolean): Answer {
  const checks = readinessOf(view);
  const isReady = begun.isOver(checks);
  const lines = checks
    .filter(({ isDone }) => isVerbose || !isDone)
    .map(({ isDone, text }) => `${isDone ? '+' : '-'} ${text}\n`);
  if (isReady) return { code: 200, body: `${isVerbose ? lines.join('') : ''}ok\n` };
  return { code: 503, body: `${lines.join('')}not ready\n` };
}

function send(
  response: ServerResponse,
  { code, body, type = 'text/plain; charset=utf-8' }: Answer,
): void {
  response.writeHead(code, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}
