/**
 * What the directory asks for, decided from one look at it and from what was known before. Pure. Absence is
 * not intent: what is not there is removed only when every look during the removal grace could tell, and
 * said so; any other look lets the grace begin anew.
 */
import type { SpecProblem } from '../../core/intent.ts';
import type { Mirror, MirrorTable } from '../../core/mirror.ts';
import { unacknowledgedEdits } from '../../core/field-change.ts';
import { printable } from '../../core/printable.ts';
import { formatTableName, sameTable } from '../../core/table-name.ts';
import { findCutOff, type CutPart } from '../../spec/cut-off.ts';
import { describeDiagnostic, DIAGNOSTIC_REASONS, type Diagnostic } from '../../spec/diagnostic.ts';
import type { Look } from '../../spec/load.ts';
import type { Snapshot } from '../../spec/snapshot.ts';
import type { WrittenSpec } from '../../spec/written.ts';
import {
  destinationKey,
  runningSince,
  tablesOf,
  type KnownMirror,
  type LeavingTable,
} from './known-mirror.ts';

export type KnownMirrors = ReadonlyMap<string, KnownMirror>;

export interface Moment {
  readonly dir: string;
  readonly nowMs: number;
  readonly graceMs: number;
}

export interface Decision {
  readonly known: KnownMirrors;
  /** Mirrors by name that were never good, or have to wait for another one, with the reasons. */
  readonly rejected: ReadonlyMap<string, readonly SpecProblem[]>;
  /** In how many milliseconds to look again at the latest; undefined: nothing changes by time alone. */
  readonly againMs: number | undefined;
}

/** As in the schema: others have no status file. */
const MIRROR_NAME = /^[a-z][a-z0-9_]{0,55}$/;
/** What could not be told, or changes once more by itself, is looked at again this soon. */
const SOON_MS = 500;

export function decideIntents(known: KnownMirrors, look: Look, moment: Moment): Decision {
  const decided =
    look.kind === 'files'
      ? decideFiles(known, look.snapshot, moment)
      : { known: mapValues(known, (one) => blind(one, look)), rejected: new Map() };
  return { ...decided, againMs: againMs(known, decided.known, { look, moment }) };
}

/** Nothing was seen: what runs goes on, and nothing has been missing for the whole grace. */
function blind(known: KnownMirror, look: Exclude<Look, { kind: 'files' }>): KnownMirror {
  if (look.kind === 'unsettled' || known.presence.kind === 'removed') return withoutTime(known);
  const message = `${look.message}; nothing is removed until it can be read`;
  return { ...withoutTime(known), presence: { kind: 'missing', message, isGraceRunning: false } };
}

interface Files {
  readonly snapshot: Snapshot;
  readonly errors: readonly Diagnostic[];
  readonly mirrors: ReadonlyMap<string, Mirror>;
  /** True when what is not in the snapshot is not in the directory. */
  readonly isWhole: boolean;
  readonly before: KnownMirrors;
  /** The mirror that writes a table now, by destinationKey. */
  readonly writers: ReadonlyMap<string, string>;
  readonly moment: Moment;
}

function decideFiles(
  before: KnownMirrors,
  snapshot: Snapshot,
  moment: Moment,
): Pick<Decision, 'known' | 'rejected'> {
  const files: Files = {
    snapshot,
    errors: snapshot.diagnostics.filter(({ severity }) => severity === 'error'),
    mirrors: new Map(snapshot.mirrors.map((mirror) => [mirror.name, mirror])),
    isWhole: snapshot.complete && !snapshot.empty,
    before,
    writers: writersOf(before),
    moment,
  };
  const known = new Map(mapValues(before, (one) => decideKnown(one, files)));
  const rejected = new Map<string, readonly SpecProblem[]>(rejectInvalid(files));
  for (const mirror of snapshot.mirrors) {
    const written = snapshot.written.get(mirror.name);
    if (before.has(mirror.name) || written === undefined) continue;
    const problems = reasonsToWait(mirror, files);
    if (problems.length > 0) rejected.set(mirror.name, problems);
    else known.set(mirror.name, accept(undefined, { mirror, written }, files));
  }
  return { known, rejected };
}

function decideKnown(known: KnownMirror, files: Files): KnownMirror {
  const { name, file } = known.mirror;
  const [mirror, written] = [files.mirrors.get(name), files.snapshot.written.get(name)];
  if (mirror !== undefined && written !== undefined)
    return follow(known, { mirror, written }, files);
  // What is in the file of a mirror that is being taken down is another one, unless it has its name.
  const isOurs = known.presence.kind !== 'removed';
  const errors = files.errors.filter(
    (error) => error.mirror === name || (isOurs && error.file === file),
  );
  if (errors.length === 0) return miss(known, files);
  return {
    ...withoutTime(known),
    presence: { kind: 'present' },
    problems: errors.map(problemOf),
  };
}

/** No file of it, whatever else there is. */
function miss(known: KnownMirror, { snapshot, isWhole, moment }: Files): KnownMirror {
  if (known.presence.kind === 'removed') return known;
  const gone = { ...withoutTime(known), problems: [] };
  const { name, file, suspend } = known.mirror;
  const missing = (message: string, isGraceRunning = false): KnownMirror => ({
    ...gone,
    presence: {
      kind: 'missing',
      message: `no file has mirror ${name} now (it was ${file})${message}`,
      isGraceRunning,
    },
  });
  if (snapshot.empty)
    return missing(
      `, and ${moment.dir} has no mirror file, which is taken for a lost mount: leave one in it, a Peer will do`,
    );
  if (!isWhole) {
    const unclear = snapshot.unclear.join(', ');
    return missing(`; nothing is removed while ${unclear} cannot be made out`);
  }
  if (suspend)
    return missing(
      '; the mirror is suspended, and stays: to remove it put the file back without suspend, then remove it',
    );
  if (isOver(known.missingSinceMs, moment)) return { ...gone, presence: { kind: 'removed' } };
  return {
    ...missing('; the mirror is removed when that was so for the whole removal grace', true),
    missingSinceMs: known.missingSinceMs ?? moment.nowMs,
  };
}

interface Found {
  readonly mirror: Mirror;
  readonly written: WrittenSpec;
}

/** Its file is there and valid. */
function follow(known: KnownMirror, found: Found, files: Files): KnownMirror {
  const { specHash } = found.mirror;
  const isEdit = specHash !== known.mirror.specHash;
  // What is being taken down belongs to nothing any more.
  const isBound = known.isEstablished && known.presence.kind !== 'removed';
  const refused = isBound ? refusedEdits(known.mirror, found.mirror) : [];
  if (refused.length > 0) return runOn(known, found, files, { held: undefined, problems: refused });
  const cut = isEdit ? findCutOff(found.written, known.written) : undefined;
  if (cut === undefined) return accept(known, found, files);
  // Whatever other files hold: this one is there, and its peers are.
  const held = known.held?.specHash === specHash ? known.held : undefined;
  if (isOver(held?.sinceMs, files.moment)) return accept(known, found, files, held?.wholeSinceMs);
  return runOn(known, found, files, {
    held: {
      specHash,
      sinceMs: held?.sinceMs ?? files.moment.nowMs,
      wholeSinceMs: continued(held?.wholeSinceMs, files),
    },
    problems: [cutOff(found.mirror, cut, files)],
  });
}

/** Its file is there, and its last good spec goes on all the same. */
function runOn(
  known: KnownMirror,
  found: Found,
  files: Files,
  why: Pick<KnownMirror, 'held' | 'problems'>,
): KnownMirror {
  return {
    ...known,
    ...why,
    leaving: stillLeaving(known.leaving, files),
    presence: { kind: 'present' },
    missingSinceMs: undefined,
    keepsTables: found.mirror.deletionPolicy === 'Retain',
  };
}

/** `goneSinceMs`: since when the looks agree on what the new spec leaves out, if it was held. */
function accept(
  known: KnownMirror | undefined,
  { mirror, written }: Found,
  files: Files,
  goneSinceMs?: number,
): KnownMirror {
  const running = known === undefined ? [] : tablesOf(known);
  const gone = running
    .filter((row) => !mirror.tables.some((table) => touches(table, row)))
    .map((table) => ({
      table,
      sinceMs: known?.leaving.find((one) => one.table === table)?.sinceMs ?? goneSinceMs,
    }));
  const waiting = mirror.tables.filter(
    (table) => !running.some((row) => isSameRow(row, table)) && writerOf(mirror, table, files),
  );
  return {
    mirror,
    written,
    leaving: stillLeaving(gone, files),
    waiting,
    presence: { kind: 'present' },
    missingSinceMs: undefined,
    keepsTables: false,
    held: undefined,
    problems: waiting.map((table) => stillWritten(mirror, table, files)),
    isEstablished: known?.isEstablished ?? false,
  };
}

/** A mapping of either of its ends: the row is not gone, or it was replaced. */
function touches(table: MirrorTable, row: MirrorTable): boolean {
  return sameTable(table.source, row.source) || sameTable(table.destination, row.destination);
}

function isSameRow(a: MirrorTable, b: MirrorTable): boolean {
  return sameTable(a.source, b.source) && sameTable(a.destination, b.destination);
}

function stillLeaving(leaving: readonly LeavingTable[], files: Files): LeavingTable[] {
  return leaving
    .filter(({ sinceMs }) => !files.isWhole || !isOver(sinceMs, files.moment))
    .map(({ table, sinceMs }) => ({ table, sinceMs: continued(sinceMs, files) }));
}

function continued(sinceMs: number | undefined, { isWhole, moment }: Files): number | undefined {
  return isWhole ? (sinceMs ?? moment.nowMs) : undefined;
}

/** Never by the look that saw it first. */
function isOver(sinceMs: number | undefined, { nowMs, graceMs }: Moment): boolean {
  return sinceMs !== undefined && nowMs - sinceMs >= graceMs;
}

function withoutTime(known: KnownMirror): KnownMirror {
  return {
    ...known,
    leaving: known.leaving.map(({ table }) => ({ table, sinceMs: undefined })),
    missingSinceMs: undefined,
    held: undefined,
  };
}

function writersOf(known: KnownMirrors): Map<string, string> {
  return new Map(
    [...known.values()].flatMap((one) =>
      tablesOf(one).map((table) => [destinationKey(one.mirror, table), one.mirror.name] as const),
    ),
  );
}

/** The other mirror that writes the table's destination now. */
function writerOf(mirror: Mirror, table: MirrorTable, { writers }: Files): string | undefined {
  const writer = writers.get(destinationKey(mirror, table));
  return writer === mirror.name ? undefined : writer;
}

/** A new mirror begins when the one that its file held is gone, and when it has a table for itself. */
function reasonsToWait(mirror: Mirror, files: Files): SpecProblem[] {
  const former = [...files.before.values()].find(
    (one) => one.mirror.file === mirror.file && !files.mirrors.has(one.mirror.name),
  );
  if (former !== undefined)
    return [
      unsettled(mirror, `this file was mirror ${former.mirror.name}, which is not removed yet`),
    ];
  const written = mirror.tables.filter((table) => writerOf(mirror, table, files) !== undefined);
  if (written.length < mirror.tables.length) return [];
  return written.map((table) => stillWritten(mirror, table, files));
}

function stillWritten(mirror: Mirror, table: MirrorTable, files: Files): SpecProblem {
  const writer = writerOf(mirror, table, files);
  const text = `${formatTableName(table.destination)} is still written by mirror ${writer}`;
  return unsettled(mirror, `${text}; it is taken over when that one has let go of it`);
}

function cutOff({ file }: Mirror, cut: CutPart, { snapshot }: Files): SpecProblem {
  const cutFile = cut.kind === 'peer' ? snapshot.peerFiles.get(cut.name) : undefined;
  return unsettled(
    { file: cutFile ?? file },
    'this is the beginning of what was here before, as of a file that is not saved to its end; it is used when that was so for the whole removal grace',
  );
}

/** The databases would refuse them too, and then nothing would stream. */
function refusedEdits(before: Mirror, after: Mirror): SpecProblem[] {
  return unacknowledgedEdits(before, after).map(({ field, from, to }) => {
    const wayOut =
      field === 'spec.destination.database'
        ? 'another destination is another mirror: give it another name'
        : 'raise spec.resyncGeneration with it, which copies every table again';
    return {
      reason: 'ImmutableFieldChanged',
      text: printable(
        `${after.file}:1:1: ${field} is ${String(to)} now, and what was copied belongs to ${String(from)}; take the edit back, or ${wayOut}`,
      ),
    };
  });
}

function unsettled({ file }: Pick<Mirror, 'file'>, message: string): SpecProblem {
  return { reason: 'Unsettled', text: printable(`${file}:1:1: ${message}`) };
}

/** A mirror that runs keeps its own status, and so does the one that a broken file held. */
function rejectInvalid({ errors, before }: Files): Map<string, SpecProblem[]> {
  const files = new Set([...before.values()].map(({ mirror }) => mirror.file));
  const rejected = new Map<string, SpecProblem[]>();
  for (const error of errors) {
    const { mirror: name, file } = error;
    if (name === undefined || !MIRROR_NAME.test(name)) continue;
    if (before.has(name) || files.has(file)) continue;
    rejected.set(name, [...(rejected.get(name) ?? []), problemOf(error)]);
  }
  return rejected;
}

function problemOf(error: Diagnostic): SpecProblem {
  return { reason: DIAGNOSTIC_REASONS[error.code], text: describeDiagnostic(error) };
}

function againMs(
  before: KnownMirrors,
  after: KnownMirrors,
  { look, moment }: { readonly look: Look; readonly moment: Moment },
): number | undefined {
  const { nowMs, graceMs } = moment;
  const waits = [...after.values()].flatMap(runningSince).map((ms) => ms + graceMs - nowMs);
  // Somebody may wait for the table that has left.
  const hasLeft = [...before.values()].some(
    ({ mirror, leaving }) => leaving.length > (after.get(mirror.name)?.leaving.length ?? 0),
  );
  if (look.kind === 'unsettled' || hasLeft) waits.push(SOON_MS);
  return waits.length === 0 ? undefined : Math.max(0, Math.min(...waits));
}

function mapValues<K, V, R>(map: ReadonlyMap<K, V>, change: (value: V) => R): Map<K, R> {
  return new Map([...map].map(([key, value]) => [key, change(value)]));
}
