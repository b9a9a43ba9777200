import { createHash } from 'node:crypto';
import type { ConnectionSpec, MirrorSpec } from './document.ts';

/**
 * `sha256:<hex>` of what a user asked for: the spec as written plus the specs of the peers it names,
 * so that an edit of a peer counts. Key order, comments, annotations and layout do not; nor do
 * defaults, so that a new version of the program with another default does not look like an edit.
 */
export function hashSpec(spec: MirrorSpec, peers: ReadonlyMap<string, ConnectionSpec>): string {
  const named = [spec.source, spec.destination].filter((end) => typeof end === 'string');
  const used = Object.fromEntries(named.map((name) => [name, peers.get(name)]));
  return `sha256:${sha256(canonicalJson({ spec, peers: used }))}`;
}

/** JSON with the keys of each object sorted and no spaces. Takes what YAML's core schema can give. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`;
}

/** The SHA-256 of text or bytes, as lower-case hex. */
export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
