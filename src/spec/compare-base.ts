/**
 * What a change of the files will do to mirrors that run, told before it is merged: from the files of
 * both revisions alone, so what the databases hold may add to it. Pure.
 */
import { editsOf, type FieldEdit } from '../core/field-change.ts';
import type { Connection, Mirror, MirrorTable } from '../core/mirror.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import { serverOf, tableAt } from './conflicts.ts';
import type { Severity } from './diagnostic.ts';
import type { FieldPath } from './field-path.ts';
import type { Snapshot } from './snapshot.ts';

export type ChangeCode =
  | 'CounterLowered'
  | 'ImmutableFieldChanged'
  | 'AddressChanged'
  | 'MirrorRemoved'
  | 'TableRemoved'
  | 'MirrorAdded'
  | 'TableAdded'
  | 'CopiedAgain';

/** One consequence of a change. Never repeats what a password's field holds. */
export interface Change {
  readonly severity: Exclude<Severity, 'error'>;
  readonly code: ChangeCode;
  readonly mirror: string;
  /** The newer file; the old one's path when the mirror is in no file any more. */
  readonly file: string;
  /** In the newer file. Missing for a mirror that was removed. */
  readonly path?: FieldPath;
  /** The key is meant, not its value. */
  readonly atKey?: boolean;
  readonly message: string;
  readonly hint?: string;
}

type Told = Omit<Change, 'mirror' | 'file'>;

/**
 * Compares mirrors by name: those that are valid on both sides, and those on one side only. A mirror
 * whose file has errors is left out, and so is every removal while a file cannot be made out.
 */
export function compareWithBase(base: Snapshot, now: Snapshot): Change[] {
  const before = new Map(base.mirrors.map((mirror) => [mirror.name, mirror]));
  const taken = namesIn(now);
  const known = namesIn(base);
  const writers = writersOf(now.mirrors);
  const removed = base.mirrors.filter(({ name }) => now.complete && !taken.has(name));
  const present = now.mirrors.flatMap((mirror) => {
    const old = before.get(mirror.name);
    if (old !== undefined) return aboutMirror(mirror, compareMirrors(old, mirror, writers));
    return known.has(mirror.name) ? [] : aboutMirror(mirror, [addedMirror(mirror)]);
  });
  return [
    ...removed.map((mirror) => ({
      ...removedMirror(mirror, writers, renamedTo(mirror, now, known)),
      mirror: mirror.name,
      file: mirror.file,
    })),
    ...present,
  ];
}

/** Also the names in files with errors: they are there, whatever is wrong with them. */
function namesIn({ mirrors, diagnostics }: Snapshot): Set<string | undefined> {
  return new Set([...mirrors.map(({ name }) => name), ...diagnostics.map(({ mirror }) => mirror)]);
}

/** The mirror that writes a table from now on, by tableAt. */
type Writers = ReadonlyMap<string, Mirror>;

function writersOf(mirrors: readonly Mirror[]): Writers {
  return new Map(
    mirrors.flatMap((mirror) =>
      mirror.tables.map((table) => [tableAt(mirror.destination, table.destination), mirror]),
    ),
  );
}

function aboutMirror({ name, file }: Mirror, told: readonly Told[]): Change[] {
  return told.map((change) => ({ ...change, mirror: name, file }));
}

/** What an edit means is decided by its field's class; here it is put into words, at its place. */
interface Edited {
  readonly old: Mirror;
  readonly now: Mirror;
  readonly edits: readonly FieldEdit[];
}

function compareMirrors(old: Mirror, now: Mirror, writers: Writers): Told[] {
  const edited = { old, now, edits: editsOf(old, now) };
  return [
    ...compareEnds(edited, 'source'),
    ...compareEnds(edited, 'destination'),
    ...comparePublications(edited),
    ...compareCounters(edited),
    ...compareTables(edited, writers),
  ];
}

/** The mirror's own, which copies every table. */
function compareCounters({ old, now, edits }: Edited): Told[] {
  if (!edits.some(({ field }) => field === 'spec.resyncGeneration')) return [];
  const [from, to] = [old.resyncGeneration, now.resyncGeneration];
  const path = ['spec', 'resyncGeneration'];
  if (to < from) return [lowered(path, 'spec.resyncGeneration', [from, to])];
  const message = `every table will be copied again: resyncGeneration goes from ${from} to ${to}`;
  return [{ severity: 'note', code: 'CopiedAgain', path, message }];
}

function compareEnds({ old, now, edits }: Edited, side: 'source' | 'destination'): Told[] {
  const [from, to] = [old[side], now[side]];
  const fields = edits.map(({ field }) => field);
  const message = `the ${side} is ${describeEnd(to)} now, it was ${describeEnd(from)}`;
  const way = WAYS_OUT[side];
  if (fields.includes(`spec.${side}.database`)) {
    const told = { path: ['spec', side, 'database'], message };
    const hint = `another ${side} is refused ${way}`;
    if (side === 'source') return [immutable(old, now, { ...told, hint })];
    // The counter is no answer: what was copied is in the ledger of the destination that is left.
    return [{ ...told, severity: 'warning', code: 'ImmutableFieldChanged', hint }];
  }
  // Another spelling of an address is none.
  if (serverOf(from) === serverOf(to)) return [];
  const path = ['spec', side, fields.includes(`spec.${side}.host`) ? 'host' : 'port'];
  const hint = `the same database at another address goes on without a copy; another one is refused ${way}`;
  return [{ severity: 'note', code: 'AddressChanged', path, message, hint }];
}

/** What follows "is refused". */
const WAYS_OUT = {
  source: 'unless spec.resyncGeneration is raised with it, which copies every table again',
  destination: 'while the slot is there: remove the mirror first, or give it another name',
};

function describeEnd({ host, port, database }: Connection): string {
  return `database ${database} on ${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function comparePublications({ old, now, edits }: Edited): Told[] {
  if (!edits.some(({ field }) => field === 'spec.publication')) return [];
  const message = `the publication is ${now.publication.name} now, it was ${old.publication.name}`;
  const hint = `another publication is refused ${WAYS_OUT.source}`;
  return [immutable(old, now, { path: ['spec', 'publication'], message, hint })];
}

/** A warning, unless the mirror's counter was raised with it: then somebody meant it. */
function immutable(
  old: Mirror,
  now: Mirror,
  { hint, ...told }: Pick<Told, 'path' | 'message' | 'hint'>,
): Told {
  const isMeant = now.resyncGeneration > old.resyncGeneration;
  return {
    ...told,
    severity: isMeant ? 'note' : 'warning',
    code: 'ImmutableFieldChanged',
    ...(isMeant || hint === undefined ? {} : { hint }),
  };
}

function compareTables({ old, now, edits }: Edited, writers: Writers): Told[] {
  // Said once, then, for all of them.
  const copiesAll = now.resyncGeneration > old.resyncGeneration;
  const editsTo = ({ source }: MirrorTable): FieldEdit[] =>
    edits.filter(({ table }) => table === formatTableName(source));
  const comesOrGoes = (table: MirrorTable): boolean =>
    editsTo(table).some(({ field }) => field === 'spec.tables[]');
  return [
    ...old.tables.filter(comesOrGoes).map((table) => removedTable(table, now, writers)),
    ...now.tables.flatMap((table, index) => {
      const path = ['spec', 'tables', index];
      if (comesOrGoes(table)) return [addedTable(table, now, path)];
      const before = old.tables.find(({ source }) => sameTable(source, table.source));
      if (before === undefined) return [];
      const [from, to] = [before.generation.table, table.generation.table];
      const name = `resyncGeneration of ${formatTableName(table.source)}`;
      return [
        ...(from > to ? [lowered([...path, 'resyncGeneration'], name, [from, to])] : []),
        ...(copiesAll ? [] : copiedAgain(editsTo(table), [before, table], { path, now })),
      ];
    }),
  ];
}

function copiedAgain(
  edits: readonly FieldEdit[],
  [old, table]: readonly [old: MirrorTable, now: MirrorTable],
  { path, now }: { readonly path: FieldPath; readonly now: Mirror },
): Told[] {
  const reasons = edits.flatMap((edit) => reasonToCopy(edit, old, table));
  const [first] = reasons;
  if (first === undefined) return [];
  const why = reasons.map(([, text]) => text).join(', ');
  const message = `${formatTableName(table.source)} will be copied again by ${table.resyncStrategy}: ${why}`;
  const losses = lossesOf(old, table, now);
  return [
    {
      severity: 'note',
      code: 'CopiedAgain',
      path: [...path, first[0]],
      message,
      ...(losses === undefined ? {} : { hint: `deletionPolicy is Delete: ${losses}` }),
    },
  ];
}

/** The key that was edited, and what that was. */
function reasonToCopy(
  { field }: FieldEdit,
  old: MirrorTable,
  now: MirrorTable,
): [key: string, text: string][] {
  switch (field) {
    case 'spec.tables[].destination': {
      const [from, to] = [formatTableName(old.destination), formatTableName(now.destination)];
      return [['destination', `its destination goes from ${from} to ${to}`]];
    }
    case 'spec.tables[].excludeColumns':
      return [['excludeColumns', 'excludeColumns changes']];
    case 'spec.tables[].resyncGeneration': {
      const [from, to] = [old.generation.table, now.generation.table];
      if (to < from) return [];
      return [['resyncGeneration', `resyncGeneration goes from ${from} to ${to}`]];
    }
    default:
      return [];
  }
}

/** What a table that is copied again costs the destination. */
function lossesOf(old: MirrorTable, table: MirrorTable, now: Mirror): string | undefined {
  if (now.deletionPolicy !== 'Delete') return undefined;
  if (!isFilledBy(now, old)) return `${formatTableName(old.destination)} is dropped`;
  const left = table.excludeColumns.filter((column) => !old.excludeColumns.includes(column));
  return left.length === 0 ? undefined : `the destination loses ${left.join(', ')}`;
}

/** The mirror writes its destination, from whatever source table. */
function isFilledBy({ tables }: Mirror, { destination }: MirrorTable): boolean {
  return tables.some((table) => sameTable(table.destination, destination));
}

function lowered(path: FieldPath, name: string, [from, to]: [from: number, to: number]): Told {
  return {
    severity: 'warning',
    code: 'CounterLowered',
    path,
    message: `${name} went down from ${from} to ${to}: that copies nothing`,
    hint: `counters only go up: keep ${from}, or write ${from + 1} to copy again`,
  };
}

function addedMirror({ snapshot, tables }: Mirror): Told {
  const message = `this mirror is new: its ${countTables(tables)} will be ${firstFate(snapshot)}`;
  return { severity: 'note', code: 'MirrorAdded', path: ['metadata', 'name'], message };
}

function addedTable(table: MirrorTable, { snapshot }: Mirror, path: FieldPath): Told {
  const message = `${formatTableName(table.source)} is new: it will be ${firstFate(snapshot)}`;
  return { severity: 'note', code: 'TableAdded', path: [...path, 'source'], message };
}

function firstFate({ initial }: Mirror['snapshot']): string {
  return initial
    ? 'copied and then followed'
    : 'followed without a copy (snapshot.initial is false)';
}

function removedTable(table: MirrorTable, now: Mirror, writers: Writers): Told {
  const told = { severity: 'warning', code: 'TableRemoved', path: ['spec', 'tables'] } as const;
  const { source, destination } = table;
  const name = formatTableName(source);
  const copy = formatTableName(destination);
  return {
    ...told,
    atKey: true,
    ...(now.deletionPolicy === 'Delete' && !isFilledBy(now, table)
      ? {
          message: `${name} is not mirrored any more, and ${copy} is dropped at the destination${madeAnew(now, [table], writers)}`,
          hint: 'deletionPolicy is Delete; Retain keeps the rows',
        }
      : { message: `${name} is not mirrored any more; ${copy} keeps its rows` }),
  };
}

function removedMirror(mirror: Mirror, writers: Writers, renamed: Mirror | undefined): Told {
  const { name, slot, publication, deletionPolicy, tables } = mirror;
  const isDeleted = deletionPolicy === 'Delete';
  const atSource = publication.managed
    ? `slot ${slot} and publication ${publication.name}`
    : `slot ${slot}`;
  const atDestination = isDeleted
    ? `and at the destination, with all rows, ${listTables(tables)}${madeAnew(mirror, tables, writers)}`
    : 'nothing at the destination';
  const policy = isDeleted
    ? 'deletionPolicy is Delete; to keep the tables, merge Retain first'
    : 'deletionPolicy is Retain';
  return {
    severity: 'warning',
    code: 'MirrorRemoved',
    message: `mirror ${name} is removed: ${atSource} will be dropped at the source, ${atDestination}`,
    hint:
      renamed === undefined
        ? policy
        : `the file holds mirror ${renamed.name} now, and another name is another mirror; ${policy}`,
  };
}

/** Of tables of `from` that are dropped: another mirror that names one waits for that, and begins without rows. */
function madeAnew(
  { destination }: Mirror,
  tables: readonly MirrorTable[],
  writers: Writers,
): string {
  const taken = new Map<Mirror, MirrorTable[]>();
  for (const table of tables) {
    const writer = writers.get(tableAt(destination, table.destination));
    if (writer !== undefined) taken.set(writer, [...(taken.get(writer) ?? []), table]);
  }
  return [...taken]
    .map(([{ name, snapshot }, those]) => {
      const fate = snapshot.initial ? 'copied afresh' : 'followed without a copy';
      return `; then ${listTables(those)} will be ${fate} by mirror ${name}`;
    })
    .join('');
}

/** The mirror that has taken the file of one that is gone: most likely a new name for it. */
function renamedTo(
  { file }: Mirror,
  now: Snapshot,
  known: ReadonlySet<string | undefined>,
): Mirror | undefined {
  return now.mirrors.find((mirror) => mirror.file === file && !known.has(mirror.name));
}

/** So many are named, which is enough to see what they are. */
const MAX_NAMED_TABLES = 5;

function listTables(tables: readonly MirrorTable[]): string {
  const names = tables.map(({ destination }) => formatTableName(destination));
  const more = names.length - MAX_NAMED_TABLES;
  const named = names.slice(0, MAX_NAMED_TABLES).join(', ');
  return more > 0 ? `${named} and ${more} more` : named;
}

function countTables({ length }: readonly unknown[]): string {
  return length === 1 ? 'table' : `${length} tables`;
}
