/**
 * The text of a mirror's last good spec, so that it runs on after a restart, whatever became of its file.
 * Whole by itself: with the peers it uses, and with secrets by reference only, as the files have them.
 */
import { parse, stringify } from 'yaml';
import type { MirrorTable } from '../../core/mirror.ts';
import { formatTableName } from '../../core/table-name.ts';
import type { ConnectionSpec, MirrorSpec, TableSpec } from '../../spec/document.ts';
import { checkMirror, checkPeer } from '../../spec/rules.ts';
import { schemaErrors } from '../../spec/schemas.ts';
import { resolveWritten, type WrittenSpec } from '../../spec/written.ts';
import type { KnownMirror } from './known-mirror.ts';

const HEADER = `# The last good spec of a mirror, written by bunnydb. While the mirror has no file, deleting this one
# makes the daemon forget it, and nothing is dropped in either database.
`;

interface AppliedDocument {
  readonly apiVersion: 'bunnydb/v1';
  readonly kind: 'AppliedMirror';
  readonly metadata: { readonly name: string };
  readonly applied: {
    /** Where it was read from. */
    readonly file: string;
    readonly specHash: string;
    /** The removal was decided and is under way. */
    readonly removed: boolean;
    /** Not in the files of older versions. */
    readonly established?: boolean;
    /** See KnownMirror; missing in files of older versions. */
    readonly keepsTables?: boolean;
    readonly spec: MirrorSpec;
    readonly peers: Readonly<Record<string, ConnectionSpec>>;
    /** Tables on their way out, with their mirror's counter as it was. */
    readonly leaving: readonly (TableSpec & { readonly mirrorGeneration: number })[];
    /** Sources of the tables that another mirror still writes. */
    readonly waiting: readonly string[];
  };
}

export function renderApplied({
  mirror,
  written,
  leaving,
  waiting,
  presence,
  isEstablished,
  keepsTables,
}: KnownMirror): string {
  const document: AppliedDocument = {
    apiVersion: 'bunnydb/v1',
    kind: 'AppliedMirror',
    metadata: { name: mirror.name },
    applied: {
      file: mirror.file,
      specHash: mirror.specHash,
      removed: presence.kind === 'removed',
      established: isEstablished,
      keepsTables,
      ...written,
      leaving: leaving.map(({ table }) => rowOf(table)),
      waiting: waiting.map(({ source }) => formatTableName(source)),
    },
  };
  return HEADER + stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Equal when renderApplied would give the same text; costs less. */
export function appliedKey(known: KnownMirror): string {
  const { mirror, leaving, waiting, presence, keepsTables, isEstablished } = known;
  const { specHash, file } = mirror;
  const rows = leaving.map(({ table }) => rowOf(table));
  const sources = waiting.map(({ source }) => source);
  const flags = [presence.kind === 'removed', keepsTables, isEstablished];
  return JSON.stringify([specHash, file, rows, sources, flags]);
}

function rowOf(table: MirrorTable): AppliedDocument['applied']['leaving'][number] {
  return {
    source: formatTableName(table.source),
    destination: formatTableName(table.destination),
    excludeColumns: table.excludeColumns,
    resyncGeneration: table.generation.table,
    resyncStrategy: table.resyncStrategy,
    mirrorGeneration: table.generation.mirror,
  };
}

/** Reads what renderApplied wrote for the mirror `name`; undefined for anything else. Never throws. */
export function parseApplied(name: string, text: string): KnownMirror | undefined {
  try {
    return readApplied(name, parse(text) as AppliedDocument);
  } catch {
    // Whatever this is, it was not written here.
    return undefined;
  }
}

function readApplied(
  name: string,
  { apiVersion, kind, metadata, applied }: AppliedDocument,
): KnownMirror | undefined {
  if (kind !== 'AppliedMirror' || metadata.name !== name) return undefined;
  const { file, specHash, removed, keepsTables, established } = applied;
  const { spec, peers, leaving, waiting } = applied;
  const written: WrittenSpec = { spec, peers };
  const left = leaving.map(({ mirrorGeneration, ...table }) => ({
    ...spec,
    resyncGeneration: mirrorGeneration,
    tables: [table],
  }));
  if (apiVersion !== 'bunnydb/v1' || ![spec, ...left].every((one) => isValid(name, one, peers)))
    return undefined;
  const mirror = resolveWritten(name, file, written);
  if (mirror.specHash !== specHash) return undefined;
  return {
    mirror,
    written,
    leaving: left.flatMap((one) =>
      resolveWritten(name, file, { spec: one, peers }).tables.map((table) => ({
        table,
        sinceMs: undefined,
      })),
    ),
    waiting: mirror.tables.filter(({ source }) => waiting.includes(formatTableName(source))),
    presence: { kind: removed ? 'removed' : 'present' },
    missingSinceMs: undefined,
    keepsTables: keepsTables === true,
    held: undefined,
    problems: [],
    isEstablished: established === true,
  };
}

/** As of a file: by the schemas and the rules. */
function isValid(name: string, spec: MirrorSpec, peers: WrittenSpec['peers']): boolean {
  const head = { apiVersion: 'bunnydb/v1', metadata: { name } } as const;
  if (schemaErrors('Mirror', { ...head, kind: 'Mirror', spec }).length > 0) return false;
  if (checkMirror(spec).length > 0) return false;
  return Object.entries(peers).every(([peer, connection]) => {
    const document = { ...head, metadata: { name: peer }, kind: 'Peer', spec: connection } as const;
    return schemaErrors('Peer', document).length === 0 && checkPeer(document).length === 0;
  });
}
