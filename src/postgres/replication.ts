/**
 * The walsender's end of the wire: starts a logical slot, hands raw pgoutput messages on, pushes back
 * on the socket, and confirms only what it is told to. pg-logical-replication carries the bytes; its
 * own acknowledgement (one byte too far), its timer and its parser are not used (TRAPS A1 to A5).
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { LogicalReplicationService } from 'pg-logical-replication';
import { Client, type ClientConfig } from 'pg';
import { driverCode, MirrorError } from '../core/errors.ts';
import { formatLsn, parseLsn, type Lsn } from '../core/lsn.ts';
import type { Connection, Mirror } from '../core/mirror.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { clientConfig, connectFailure, openSession, type Row } from './session.ts';

export interface ReplicationHandlers {
  /**
   * One pgoutput message, in order. The buffer is the receiver's own. Must not throw: it runs inside
   * the driver's socket handler.
   */
  readonly onMessage: (message: Buffer) => void;
  /** Everything committed before `walEnd` was sent before this. */
  readonly onKeepalive: (walEnd: Lsn) => void;
}

/** Whose changes the stream is to bring; what is undefined or '' is not known, and anybody's. */
export interface ExpectedSource {
  readonly systemIdentifier: string;
  readonly timeline: number | undefined;
}

export interface ReplicationOptions extends ReplicationHandlers {
  readonly mirror: string;
  readonly slot: string;
  readonly publication: string;
  /** The durable position; the server skips what it confirmed already, the receiver the rest. */
  readonly from: Lsn;
  /** The source that was judged: this connection is another one, and behind one address servers change. */
  readonly source?: ExpectedSource;
}

const CLOSE_TIMEOUT_MS = 2_000;

/** The parts of pg's connection that streaming needs; they are not in its public types. */
interface WireConnection {
  readonly stream: Socket;
  sendCopyFromChunk(chunk: Buffer): void;
}

/** The library's plugin interface (its base class is not exported): what starts and what receives. */
class RawPlugin {
  readonly name = 'pgoutput';
  readonly options: {
    readonly statement: string;
    readonly onMessage: (message: Buffer) => void;
    readonly check: (client: Client) => Promise<void>;
  };
  connection: WireConnection | undefined;

  constructor(options: RawPlugin['options']) {
    this.options = options;
  }

  parse(message: Buffer): void {
    // pg's parser reuses its memory for the next chunk, so what is kept must be copied.
    this.options.onMessage(Buffer.from(message));
  }

  async start(client: Client): Promise<unknown> {
    this.connection = client.connection as unknown as WireConnection;
    await this.options.check(client);
    return client.query(this.options.statement);
  }
}

/** A running stream. `done` settles once: resolved after close(), rejected with a MirrorError otherwise. */
export class ReplicationStream {
  readonly done: Promise<void>;
  /** Resolves when the server has begun to stream: until then the slot may be somebody else's. */
  readonly started: Promise<void>;
  readonly #service: LogicalReplicationService;
  readonly #plugin: RawPlugin;
  #closing = false;
  #givenUp: MirrorError | undefined;

  constructor(service: LogicalReplicationService, plugin: RawPlugin, options: ReplicationOptions) {
    this.#service = service;
    this.#plugin = plugin;
    // Errors reach us through subscribe()'s promise as well; without a listener they would be thrown.
    let lastError: unknown;
    service.on('error', (error: unknown) => (lastError ??= error));
    service.on('heartbeat', (lsn: string, _time: number, replyRequested: boolean) => {
      options.onKeepalive(parseLsn(lsn));
      if (replyRequested) this.#resend();
    });
    this.started = new Promise((resolve) => service.once('start', () => resolve()));
    this.done = service.subscribe(plugin, options.slot, formatLsn(options.from)).then(
      () => this.#ended(lastError),
      (error: unknown) => this.#ended(error),
    );
    this.done.catch(() => undefined);
  }

  #lastConfirmed: Lsn | undefined;

  /**
   * Tells the source that everything before `lsn` is durable here. Send it at least every second:
   * it also keeps the walsender from ending a connection that seems dead. `wantsReply`: it answers
   * with a keepalive, so that we know the same of it.
   */
  confirm(lsn: Lsn, wantsReply = false): void {
    this.#lastConfirmed = lsn;
    const connection = this.#plugin.connection;
    if (this.#closing || connection === undefined || connection.stream.destroyed) return;
    connection.sendCopyFromChunk(statusUpdate(lsn, wantsReply));
  }

  #resend(): void {
    if (this.#lastConfirmed !== undefined) this.confirm(this.#lastConfirmed);
  }

  /** Stops reading from the socket; the server's send buffer fills and it waits. */
  pause(): void {
    this.#plugin.connection?.stream.pause();
  }

  resume(): void {
    this.#plugin.connection?.stream.resume();
  }

  /** We read nothing for now. */
  get isPaused(): boolean {
    return this.#plugin.connection?.stream.isPaused() ?? false;
  }

  /** Everything that came from the source, keepalives too; 0 until the session is there. */
  get bytesRead(): number {
    return this.#plugin.connection?.stream.bytesRead ?? 0;
  }

  /** Cuts the connection without a word to the server, which does not listen; `done` rejects with `error`. */
  giveUp(error: MirrorError): void {
    this.#givenUp ??= error;
    this.#socket()?.destroy();
  }

  /** Ends the stream; the slot is free when it returns, or the socket was cut after CLOSE_TIMEOUT_MS. */
  async close(): Promise<void> {
    this.#closing = true;
    // A paused socket would never see the server's goodbye.
    this.resume();
    // Looked up now: the library forgets its client while it stops.
    const socket = this.#socket();
    const cut = setTimeout(() => socket?.destroy(), CLOSE_TIMEOUT_MS);
    // The driver's connect() never settles when it is asked to end meanwhile.
    if (this.#plugin.connection === undefined) socket?.destroy();
    else await this.#service.stop().catch(() => undefined);
    await this.done.catch(() => undefined);
    clearTimeout(cut);
  }

  /** Also of a client that is still connecting, which the plugin has not seen yet. */
  #socket(): Duplex | undefined {
    const { _client: client } = this.#service as unknown as { readonly _client: Client | null };
    return this.#plugin.connection?.stream ?? client?.connection.stream;
  }

  #ended(error: unknown): void {
    if (this.#closing) return;
    if (this.#givenUp !== undefined) throw this.#givenUp;
    throw error === undefined
      ? new MirrorError('ConnectionFailed', 'the source ended the replication stream')
      : connectFailure(error, 'replication stream');
  }
}

/** Connects and starts streaming. A failure to connect or start rejects `done`. */
export async function openReplication(
  connection: Connection,
  options: ReplicationOptions,
): Promise<ReplicationStream> {
  const session = { mirror: options.mirror, role: 'walsender' } as const;
  const config = await clientConfig(connection, session, await usesTls(connection, options.mirror));
  const service = new LogicalReplicationService(config, {
    acknowledge: { auto: false, timeoutSeconds: 0 },
    flowControl: { enabled: false },
  });
  const plugin = new RawPlugin({
    statement: startStatement(options),
    onMessage: options.onMessage,
    check: async (client) => checkSource(client, options),
  });
  return new ReplicationStream(service, plugin, options);
}

/** The library connects by itself and has no fallback: find out first what `prefer` comes to here. */
async function usesTls(connection: Connection, mirror: string): Promise<boolean> {
  if (connection.sslMode !== 'prefer') return connection.sslMode !== 'disable';
  await using probe = await openSession(connection, { mirror, role: 'observer' });
  return probe.encrypted;
}

/** Throws ConnectionFailed when this is not the server that was looked at: who it is now is for the next look. */
async function checkSource(client: Client, { source, from }: ReplicationOptions): Promise<void> {
  if (source === undefined) return;
  const { rows } = await client.query<Row>('IDENTIFY_SYSTEM');
  const { systemid, timeline, xlogpos } = rows[0] ?? {};
  const isSame =
    (source.systemIdentifier === '' || source.systemIdentifier === systemid) &&
    (source.timeline === undefined || source.timeline === Number(timeline)) &&
    parseLsn(xlogpos ?? '') >= from;
  if (!isSame)
    throw new MirrorError(
      'ConnectionFailed',
      `the stream was led to cluster ${systemid} on timeline ${timeline} at ${xlogpos}, which is not what was looked at`,
    );
}

const SELECT_HELD_SLOT = /* sql */ `
select coalesce(confirmed_flush_lsn, '0/0')::text as confirmed_flush_lsn
from pg_replication_slots
where slot_name = $1 and plugin = 'pgoutput' and database = current_database()`;

/**
 * What a slot that is being streamed from was told to forget, as another session sees it; undefined when
 * there is none of ours. To be asked once the stream has started, which holds the slot from then on, and before
 * anything is confirmed: until the start it may have been dropped and made again.
 */
export async function readHeldSlot({
  name,
  source,
  slot,
}: Pick<Mirror, 'name' | 'source' | 'slot'>): Promise<Lsn | undefined> {
  const options = { mirror: name, role: 'observer', readOnly: true } as const;
  await using session = await openSession(source, options);
  const [row] = await session.query(SELECT_HELD_SLOT, [slot]);
  return row && parseLsn(row['confirmed_flush_lsn'] ?? '');
}

/** undefined_file: timeline 1 has no history, and one that was removed tells nothing. */
const UNDEFINED_FILE = '58P01';

/** The source's file of that timeline: which ones it came from, and where each ended. '' when there is none. */
export async function readTimelineHistory(
  mirror: Pick<Mirror, 'name' | 'source'>,
  timeline: number,
): Promise<string> {
  const session = { mirror: mirror.name, role: 'walsender' } as const;
  const tls = await usesTls(mirror.source, mirror.name);
  const config = await clientConfig(mirror.source, session, tls);
  const client = new Client({ ...config, replication: 'database' } as ClientConfig);
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ content: string }>(`TIMELINE_HISTORY ${timeline}`);
    return rows[0]?.content ?? '';
  } catch (error) {
    if (driverCode(error) === UNDEFINED_FILE) return '';
    throw connectFailure(error, 'timeline history of the source');
  } finally {
    await client.end().catch(() => undefined);
  }
}

function startStatement({ slot, publication, from }: ReplicationOptions): string {
  const names = quoteLiteral(quoteIdent(publication));
  return (
    `START_REPLICATION SLOT ${quoteIdent(slot)} LOGICAL ${formatLsn(from)} ` +
    `(proto_version '1', publication_names ${names}, messages 'true')`
  );
}

const STATUS_UPDATE_BYTES = 34;
const STATUS_UPDATE_TAG = 0x72; // 'r'
/** PostgreSQL counts from 2000-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000n;

/**
 * A standby status update: 'r', then written, flushed and applied LSN, the clock in microseconds, and
 * whether a reply is wanted. PostgreSQL 14 to 18, protocol-replication "Standby status update".
 */
export function statusUpdate(lsn: Lsn, wantsReply = false): Buffer {
  const frame = Buffer.alloc(STATUS_UPDATE_BYTES);
  frame[0] = STATUS_UPDATE_TAG;
  frame.writeBigUInt64BE(lsn, 1);
  frame.writeBigUInt64BE(lsn, 9);
  frame.writeBigUInt64BE(lsn, 17);
  frame.writeBigInt64BE((BigInt(Date.now()) - POSTGRES_EPOCH_MS) * 1000n, 25);
  frame[33] = wantsReply ? 1 : 0;
  return frame;
}
