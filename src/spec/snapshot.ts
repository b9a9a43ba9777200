/**
 * The floor of files: texts -> mirrors and diagnostics, all of one moment. Each file is parsed,
 * checked against its schema and against rules, then all of them against each other, and what is
 * right is resolved. No disk is touched here, and nothing here knows a database or a secret.
 */
import type { Connection, Mirror } from '../core/mirror.ts';
import { findConflicts, type Candidate } from './conflicts.ts';
import { byPlace, hasErrors, type Diagnostic } from './diagnostic.ts';
import type { ConnectionSpec, SpecDocument } from './document.ts';
import { sha256 } from './hash.ts';
import { parseFile } from './parse.ts';
import { resolveConnection, resolveMirror } from './resolve.ts';
import { checkMirror, checkPeer } from './rules.ts';
import { nearest } from './suggest.ts';
import { validateFile } from './validate.ts';
import { writtenSpec, type WrittenSpec } from './written.ts';
import type { Finding, Identity, YamlFile } from './yaml-file.ts';

/** One file as it was found: its bytes, or why there are none. */
export interface SourceFile {
  readonly path: string;
  readonly content: Uint8Array | Diagnostic;
}

/** What a set of files says, all at once: the valid mirrors, and everything wrong with the others. */
export interface Snapshot {
  /** Only mirrors without any error, in the order of the files. */
  readonly mirrors: Mirror[];
  /** What each of the mirrors was resolved from, by its name. */
  readonly written: ReadonlyMap<string, WrittenSpec>;
  /** The peers that can be used, by name. */
  readonly peers: ReadonlyMap<string, Connection>;
  /** The file of each of them. */
  readonly peerFiles: ReadonlyMap<string, string>;
  /** By file and place. */
  readonly diagnostics: Diagnostic[];
  /** The files that could be read. */
  readonly files: { path: string; sha256: string }[];
  /** Over all paths and contents: equal when nothing changed. */
  readonly digest: string;
  /**
   * True when every file was read and is a document that its schema accepts. While it is false, a
   * mirror that is missing may be in the file that cannot be made out: its absence means nothing.
   */
  readonly complete: boolean;
  /** The files that are no such document. */
  readonly unclear: readonly string[];
  /** No mirror file at all, also none that is broken. */
  readonly empty: boolean;
}

/** One file, looked at by itself. */
export interface Entry {
  readonly diagnostics: readonly Diagnostic[];
  readonly file?: YamlFile;
  /** Of a file that is no YAML, as far as can be told. */
  readonly identity?: Identity | undefined;
  /** Only when the schema accepts it; rules may still object. */
  readonly document?: SpecDocument;
  /** There also when the schema objects to nothing but unknown fields. */
  readonly outline?: SpecDocument;
}

type PeerEntries = ReadonlyMap<string, readonly Entry[]>;

/** Files as they were parsed before, by path and contents. */
export type ParsedFiles = Map<string, Entry>;

export interface SnapshotOptions {
  /** Only their peers are used, and nothing is said about them. */
  readonly neighbours?: readonly SourceFile[];
  /** From the last look: its files are not parsed again. Then holds those of this one. */
  readonly parsed?: ParsedFiles;
}

/**
 * Reads files that are in memory already. Never throws: one bad file leaves the others alone. The same
 * files give the same snapshot, whatever `parsed` holds.
 */
export function readSnapshot(
  files: readonly SourceFile[],
  { neighbours = [], parsed = new Map() }: SnapshotOptions = {},
): Snapshot {
  const entries = readEntries(files, parsed);
  const all = [...entries, ...neighbours.map(readEntry)];
  const peers = peersByName(all);
  const peerSpecs = usableSpecs(peers);
  const unread = all.filter(({ file }) => file === undefined);
  const between = [
    ...reportDuplicates(entries),
    ...entries.flatMap((entry) => reportPeers(entry, { peers, usable: peerSpecs, unread })),
  ];
  const alone = [...entries.flatMap(({ diagnostics }) => diagnostics), ...between];
  const badFiles = new Set(
    alone.filter(({ severity }) => severity === 'error').map(({ file }) => file),
  );
  const candidates = entries.flatMap(({ file, document }): Candidate[] => {
    if (file === undefined || document?.kind !== 'Mirror' || badFiles.has(file.path)) return [];
    return [{ file, document, mirror: resolveMirror(document, peerSpecs, file.path) }];
  });
  const conflicts = findConflicts(candidates);
  const refused = new Set(conflicts.map(({ candidate }) => candidate));
  const found = conflicts.map(({ candidate, finding }) => candidate.file.report(finding));
  const accepted = candidates.filter((candidate) => !refused.has(candidate));
  const unclear = files.filter((_, index) => entries[index]?.document === undefined);
  return {
    mirrors: accepted.map(({ mirror }) => mirror),
    written: new Map(
      accepted.map(({ document, mirror }) => [mirror.name, writtenSpec(document.spec, peerSpecs)]),
    ),
    peers: new Map(
      [...peerSpecs].map(([name, spec]) => [name, resolveConnection(spec, peerSpecs)]),
    ),
    peerFiles: new Map(
      [...peerSpecs.keys()].map((name) => [name, peers.get(name)?.[0]?.file?.path ?? '']),
    ),
    diagnostics: [...alone, ...found].sort(byPlace),
    ...digestFiles(files),
    complete: unclear.length === 0,
    unclear: unclear.map(({ path }) => path),
    empty: files.length === 0,
  };
}

function readEntries(files: readonly SourceFile[], parsed: ParsedFiles): Entry[] {
  const keys = files.map(({ path, content }) =>
    JSON.stringify([path, content instanceof Uint8Array ? sha256(content) : content]),
  );
  const entries = files.map((file, index) => parsed.get(keys[index] ?? '') ?? readEntry(file));
  parsed.clear();
  for (const [index, entry] of entries.entries()) parsed.set(keys[index] ?? '', entry);
  return entries;
}

function readEntry({ path, content }: SourceFile): Entry {
  if (!(content instanceof Uint8Array)) return { diagnostics: [content] };
  const text = decode(content);
  if (text === undefined) {
    const hint = 'save it as UTF-8';
    const message = 'the file is not UTF-8 text';
    return {
      diagnostics: [
        { severity: 'error', code: 'NotUtf8', message, hint, file: path, line: 1, column: 1 },
      ],
    };
  }
  const parsed = parseFile(path, text);
  if (parsed.file === undefined)
    return { identity: parsed.identity, diagnostics: parsed.diagnostics };
  const { file } = parsed;
  const { document, outline, diagnostics: schema } = validateFile(file);
  const diagnostics = [...parsed.diagnostics, ...schema];
  if (outline === undefined) return { file, diagnostics };
  const findings = outline.kind === 'Mirror' ? checkMirror(outline.spec) : checkPeer(outline);
  return {
    file,
    outline,
    ...(document === undefined || hasErrors(diagnostics) ? {} : { document }),
    diagnostics: [...diagnostics, ...findings.map((finding) => file.report(finding))],
  };
}

/** Undefined when the bytes are not UTF-8: replacing them would hide what is wrong. */
function decode(content: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
}

/** A name that two files give to the same kind of thing belongs to neither. */
function reportDuplicates(entries: readonly Entry[]): Diagnostic[] {
  const files = new Map<string, YamlFile[]>();
  for (const { file } of entries) {
    if (file?.identity === undefined) continue;
    const name = describeIdentity(file.identity);
    files.set(name, [...(files.get(name) ?? []), file]);
  }
  return [...files].flatMap(([name, sharing]) =>
    sharing.flatMap((file) => {
      const other = sharing.find((candidate) => candidate !== file);
      return other === undefined ? [] : [file.report(duplicateName(name, other))];
    }),
  );
}

function duplicateName(name: string, other: YamlFile): Finding {
  const path = ['metadata', 'name'];
  return {
    code: 'DuplicateName',
    path,
    message: `${name} is also in ${other.path}:${other.place(path).line}`,
    hint: 'give one of them another name; until then neither is used',
  };
}

/** `Mirror shop` */
function describeIdentity({ kind, name }: Identity): string {
  return `${kind} ${name}`;
}

function peersByName(entries: readonly Entry[]): PeerEntries {
  const peers = new Map<string, Entry[]>();
  for (const entry of entries) {
    const { kind, name } = entry.file?.identity ?? {};
    if (kind === 'Peer' && name !== undefined) peers.set(name, [...(peers.get(name) ?? []), entry]);
  }
  return peers;
}

function usableSpecs(peers: PeerEntries): Map<string, ConnectionSpec> {
  const specs = new Map<string, ConnectionSpec>();
  for (const [name, entries] of peers) {
    const [entry] = entries;
    const isUsable =
      entries.length === 1 && entry?.document?.kind === 'Peer' && !hasErrors(entry.diagnostics);
    if (isUsable) specs.set(name, entry.document.spec);
  }
  return specs;
}

interface PeerLook {
  readonly peers: PeerEntries;
  readonly usable: ReadonlyMap<string, ConnectionSpec>;
  /** Of files that are no YAML: what they hold can be told from a few only. */
  readonly unread: readonly Entry[];
}

function reportPeers({ file, outline }: Entry, look: PeerLook): Diagnostic[] {
  if (file === undefined || outline?.kind !== 'Mirror') return [];
  const { spec } = outline;
  return (['source', 'destination'] as const).flatMap((side) => {
    const name = spec[side];
    if (typeof name !== 'string' || look.usable.has(name)) return [];
    return [file.report({ path: ['spec', side], ...explainPeer(name, look) })];
  });
}

function explainPeer(name: string, { peers, unread }: PeerLook): Omit<Finding, 'path'> {
  const isMeant = ({ identity }: Entry): boolean =>
    identity?.kind === 'Peer' && identity.name === name;
  const broken = peers.get(name)?.[0] ?? unread.find(isMeant);
  if (broken !== undefined)
    return {
      code: 'InvalidPeer',
      message: `peer ${name} has errors (${pathOf(broken)})`,
      hint: 'correct that file',
    };
  const meant = nearest(name, [...peers.keys()]);
  const unknown = unread.filter(({ identity }) => identity === undefined).map(pathOf);
  if (meant === undefined && unknown.length > 0)
    return {
      code: 'UnknownPeer',
      message: `no peer ${name} is in the files that can be read`,
      hint: `correct ${unknown.join(', ')} first`,
    };
  return {
    code: 'UnknownPeer',
    message: `there is no peer ${name}`,
    hint:
      meant === undefined
        ? 'add a file of kind Peer, or write the connection here'
        : `did you mean ${meant}?`,
  };
}

function pathOf({ file, diagnostics }: Entry): string {
  return file?.path ?? diagnostics[0]?.file ?? '';
}

/** The contents of files in short, to tell whether anything changed before anything is parsed. */
export function digestFiles(files: readonly SourceFile[]): Pick<Snapshot, 'files' | 'digest'> {
  const hashes = files.flatMap(({ path, content }) =>
    content instanceof Uint8Array ? [{ path, sha256: sha256(content) }] : [],
  );
  const unreadable = files.flatMap(({ path, content }) =>
    content instanceof Uint8Array ? [] : [{ path, code: content.code }],
  );
  return { files: hashes, digest: `sha256:${sha256(JSON.stringify([hashes, unreadable]))}` };
}
