/** A mirror's spec as its users wrote it, with all that its meaning depends on. Pure. */
import type { Mirror } from '../core/mirror.ts';
import type { ConnectionSpec, MirrorSpec } from './document.ts';
import { resolveMirror } from './resolve.ts';

export interface WrittenSpec {
  readonly spec: MirrorSpec;
  /** The peers it names, by their names. */
  readonly peers: Readonly<Record<string, ConnectionSpec>>;
}

/** Takes from all peers those that the spec names. */
export function writtenSpec(
  spec: MirrorSpec,
  peers: ReadonlyMap<string, ConnectionSpec>,
): WrittenSpec {
  const named = [spec.source, spec.destination].filter((end) => typeof end === 'string');
  const used = named.flatMap((name) => {
    const peer = peers.get(name);
    return peer === undefined ? [] : [[name, peer] as const];
  });
  return { spec, peers: Object.fromEntries(used) };
}

/** The same Mirror, by its hash too, as the files gave. Throws on a spec that was not checked. */
export function resolveWritten(name: string, file: string, { spec, peers }: WrittenSpec): Mirror {
  const document = { apiVersion: 'bunnydb/v1', kind: 'Mirror', metadata: { name }, spec } as const;
  return resolveMirror(document, new Map(Object.entries(peers)), file);
}
