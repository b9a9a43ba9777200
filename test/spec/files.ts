import type { Diagnostic } from '../../src/spec/diagnostic.ts';
import { readSnapshot, type Snapshot } from '../../src/spec/snapshot.ts';

/** A peer that mirrors in tests name as source. */
export const SOURCE_PEER = `apiVersion: bunnydb/v1
kind: Peer
metadata: {name: from}
spec: {host: source.internal, database: shop, user: bunny}
`;

/** A peer that mirrors in tests name as destination. */
export const DESTINATION_PEER = SOURCE_PEER.replace('from', 'to').replace('source.', 'copy.');

/** A mirror file with these lines under spec, which begin in the third column. */
export function mirrorText(lines: string, name = 'shop'): string {
  return `apiVersion: bunnydb/v1
kind: Mirror
metadata:
  name: ${name}
spec:
  source: from
  destination: to
${lines}`;
}

/** Reads texts as if they were files beside the two peers. */
export function snapshotOf(texts: Readonly<Record<string, string | Uint8Array>>): Snapshot {
  const all = { 'from.yaml': SOURCE_PEER, 'to.yaml': DESTINATION_PEER, ...texts };
  return readSnapshot(
    Object.entries(all).map(([path, text]) => ({
      path,
      content: typeof text === 'string' ? Buffer.from(text) : text,
    })),
  );
}

/** `file:line:column: message (hint)`, which is what people see. */
export function lineOf({ file, line, column, message, hint }: Diagnostic): string {
  return `${file}:${line}:${column}: ${message}${hint === undefined ? '' : ` (${hint})`}`;
}
