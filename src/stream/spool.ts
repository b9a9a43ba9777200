/** The spool's rows: raw messages of one table from one transaction part, and back. */
import type { Lsn } from '../core/lsn.ts';
import { append } from '../core/multi-map.ts';
import { copyInto } from '../postgres/copy-streams.ts';
import type { Session } from '../postgres/session.ts';
import { copyIntoSpoolSql } from '../sql/spool.ts';
import type { Change } from './assemble.ts';
import { decodeMessage, type Relation } from './decode.ts';
import { positionsOf, withoutColumns } from './without-columns.ts';

/** One row of a spool: what one transaction part did to one table. */
export interface SpoolEntry {
  readonly tableId: string;
  readonly xid: number;
  readonly commitLsn: Lsn;
  readonly changes: readonly Change[];
  /** Columns whose values are not kept. */
  readonly without?: readonly string[];
}

/** Adds entries to their tables' spools, each in order, inside the caller's transaction. */
export async function writeSpool(session: Session, entries: readonly SpoolEntry[]): Promise<void> {
  const byTable = new Map<string, SpoolEntry[]>();
  for (const entry of entries) append(byTable, entry.tableId, entry);
  for (const [tableId, own] of byTable) {
    const rows = Buffer.concat([COPY_HEADER, ...own.map(encodeEntry), COPY_TRAILER]);
    await copyInto(session, copyIntoSpoolSql(tableId), rows);
  }
}

/** What an entry takes in the spool at most, in bytes. */
export function spoolBytes(entry: SpoolEntry): number {
  return entry.changes.reduce((bytes, { raw }) => bytes + raw.length + LENGTH_BYTES, 0);
}

const COPY_HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const COPY_TRAILER = Buffer.from([0xff, 0xff]);
const FIELD_COUNT = 4;
const FIXED_BYTES = 2 + 12 + 12 + 8 + 4;
const LENGTH_BYTES = 4;

/** Binary COPY: field count, then each field's length and bytes; columns as copyIntoSpoolSql names them. */
function encodeEntry(entry: SpoolEntry): Buffer {
  const data = encodeFrames(entry);
  const row = Buffer.allocUnsafe(FIXED_BYTES + data.length);
  let at = row.writeInt16BE(FIELD_COUNT, 0);
  for (const value of [BigInt(entry.xid), entry.commitLsn]) {
    at = row.writeInt32BE(8, at);
    at = row.writeBigInt64BE(value, at);
  }
  at = row.writeInt32BE(4, at);
  at = row.writeInt32BE(entry.changes.length, at);
  at = row.writeInt32BE(data.length, at);
  data.copy(row, at);
  return row;
}

/** Frames of length and message; a description comes before the first change that needs it. */
function encodeFrames(entry: SpoolEntry): Buffer {
  const pieces: Buffer[] = [];
  let described: Relation | undefined;
  let left: ReadonlySet<number> = new Set();
  for (const change of entry.changes) {
    const relation = relationOf(change);
    if (relation !== described) {
      pieces.push(lengthOf(relation.raw), relation.raw);
      left = positionsOf(relation, entry.without ?? []);
    }
    described = relation;
    const message = withoutColumns(change, left);
    pieces.push(lengthOf(message), message);
  }
  return Buffer.concat(pieces);
}

/** A TRUNCATE in an entry names the entry's own table alone. */
function relationOf(change: Change): Relation {
  const relation = change.tag === 'truncate' ? change.relations[0] : change.relation;
  if (!relation) throw new Error('spool: a truncate of no table');
  return relation;
}

function lengthOf(message: Buffer): Buffer {
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  length.writeUInt32BE(message.length, 0);
  return length;
}

/** The changes of one spool row. Truncates name only the row's own table. */
export function readFrames(data: Buffer): Change[] {
  const changes: Change[] = [];
  let relation: Relation | undefined;
  let at = 0;
  while (at < data.length) {
    const length = data.readUInt32BE(at);
    at += LENGTH_BYTES;
    const message = decodeMessage(data.subarray(at, at + length));
    at += length;
    if (message.tag === 'relation') {
      relation = message.relation;
      continue;
    }
    if (relation === undefined) throw new Error('spool: a change before its description');
    if (message.tag === 'truncate')
      changes.push({ tag: 'truncate', relations: [relation], raw: message.raw });
    else if (message.tag === 'insert' || message.tag === 'update' || message.tag === 'delete')
      changes.push({ ...message, relation });
  }
  return changes;
}
