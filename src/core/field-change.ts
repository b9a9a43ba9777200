/** What an edit of a mirror file changes, and what each field asks for when it is edited. */
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import type { Connection, Mirror, MirrorTable } from './mirror.ts';
import { formatTableName } from './table-name.ts';

/**
 * What an edit of a field asks for. `in-place`: the next pass works by it. `needs-resync`: rows are copied.
 * `immutable`: what was copied means nothing under the new value; refused until it is acknowledged.
 */
export type FieldClass = 'in-place' | 'needs-resync' | 'immutable';

/** One field that the file has otherwise than what was applied last. */
export interface FieldChange {
  /** As in the file: `spec.cdc.maxBatchSize`, `spec.tables[public.users].excludeColumns`. */
  readonly field: string;
  readonly fieldClass: FieldClass;
  /** One line of YAML each; undefined for what is not there. Never a secret. */
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/**
 * The class of every field of a mirror file, by its path in the schema. A connection's are those of a peer
 * too. `metadata.name` is the identity: another name is another mirror, not an edit of this one.
 */
export const FIELD_CLASSES = {
  'spec.source.host': 'in-place',
  'spec.source.port': 'in-place',
  'spec.source.database': 'immutable',
  'spec.source.user': 'in-place',
  'spec.source.password': 'in-place',
  'spec.source.sslMode': 'in-place',
  'spec.source.sslRootCert': 'in-place',
  'spec.source.sslCert': 'in-place',
  'spec.source.sslKey': 'in-place',
  'spec.destination.host': 'in-place',
  'spec.destination.port': 'in-place',
  'spec.destination.database': 'immutable',
  'spec.destination.user': 'in-place',
  'spec.destination.password': 'in-place',
  'spec.destination.sslMode': 'in-place',
  'spec.destination.sslRootCert': 'in-place',
  'spec.destination.sslCert': 'in-place',
  'spec.destination.sslKey': 'in-place',
  'spec.suspend': 'in-place',
  'spec.suspendReason': 'in-place',
  'spec.deletionPolicy': 'in-place',
  'spec.resyncStrategy': 'in-place',
  'spec.resyncGeneration': 'needs-resync',
  'spec.replicateIndexes': 'in-place',
  'spec.replicateForeignKeys': 'in-place',
  'spec.schemaChanges': 'in-place',
  'spec.onSlotLoss': 'in-place',
  'spec.maintenanceWindows': 'in-place',
  'spec.publication': 'immutable',
  'spec.snapshot.initial': 'in-place',
  'spec.snapshot.rowsPerPartition': 'in-place',
  'spec.snapshot.maxParallelWorkers': 'in-place',
  'spec.snapshot.tablesInParallel': 'in-place',
  'spec.cdc.maxBatchSize': 'in-place',
  'spec.cdc.idleTimeoutSeconds': 'in-place',
  // Of a table that is added; to take one out is in-place.
  'spec.tables[]': 'needs-resync',
  'spec.tables[].destination': 'needs-resync',
  'spec.tables[].excludeColumns': 'needs-resync',
  'spec.tables[].resyncGeneration': 'needs-resync',
  'spec.tables[].resyncStrategy': 'in-place',
} as const satisfies Readonly<Record<string, FieldClass>>;

/** A field by its path in the schema. */
export type Field = keyof typeof FIELD_CLASSES;

/** One field with its value; undefined where the file need not say anything and does not. */
interface Entry {
  readonly field: Field;
  /** The source table whose field it is. */
  readonly table?: string | undefined;
  readonly value: unknown;
}

/** May be left out without a default: not there is a value as any other. */
const OPTIONAL: ReadonlySet<Field> = new Set<Field>([
  'spec.suspendReason',
  'spec.source.password',
  'spec.source.sslRootCert',
  'spec.source.sslCert',
  'spec.source.sslKey',
  'spec.destination.password',
  'spec.destination.sslRootCert',
  'spec.destination.sslCert',
  'spec.destination.sslKey',
]);

/** One field that is otherwise, with its values. */
export interface FieldEdit {
  readonly field: Field;
  /** Its source table, as formatTableName gives it; undefined for a field of the mirror. */
  readonly table: string | undefined;
  readonly fieldClass: FieldClass;
  /** Undefined for what is not there. A secret is its reference. */
  readonly from: unknown;
  readonly to: unknown;
}

/** As editsOf gives them, in words. */
export function changesOf(before: Partial<Mirror>, after: Mirror): FieldChange[] {
  return editsOf(before, after).map((edit) => ({
    field: nameOf(edit),
    fieldClass: edit.fieldClass,
    from: oneLine(edit.from),
    to: oneLine(edit.to),
  }));
}

/**
 * What `after` has otherwise than `before`, which another version may have written: a field that it does
 * not know is no change. In the order of the file; defaults and the mirror's own strategy are filled in.
 */
export function editsOf(before: Partial<Mirror>, after: Mirror): FieldEdit[] {
  const known = new Map(entriesOf(before).map((entry) => [nameOf(entry), entry]));
  const left = entriesOf(after);
  const names = new Set(left.map(nameOf));
  return [
    ...left.flatMap((entry) => compare(known.get(nameOf(entry)), entry, before)),
    ...tablesOf(before)
      .filter((entry) => !names.has(nameOf(entry)))
      .map((entry) => toEdit(entry, { from: entry.value, to: undefined }, 'in-place')),
  ];
}

/**
 * Immutable fields that nobody said yes to: raising the mirror's counter with such an edit does, for every
 * table is then copied again. Not for another destination: what was copied stays in the ledger of the former.
 */
export function unacknowledgedEdits(before: Mirror, after: Mirror): FieldEdit[] {
  const isMeant = after.resyncGeneration > before.resyncGeneration;
  return editsOf(before, after).filter(
    ({ field, fieldClass }) =>
      fieldClass === 'immutable' && !(isMeant && field !== 'spec.destination.database'),
  );
}

function compare(before: Entry | undefined, after: Entry, whole: Partial<Mirror>): FieldEdit[] {
  const { field, value } = after;
  if (field === 'spec.tables[]') {
    const isAdded = before === undefined && whole.tables !== undefined;
    return isAdded ? [toEdit(after, { from: undefined, to: value })] : [];
  }
  if (before === undefined) return [];
  const isUnknown = before.value === undefined && !OPTIONAL.has(field);
  return isUnknown || isSame(field, before.value, value)
    ? []
    : [toEdit(after, { from: before.value, to: value })];
}

function isSame(field: Field, before: unknown, after: unknown): boolean {
  const isSet = field === 'spec.tables[].excludeColumns';
  return isSet
    ? isDeepStrictEqual(new Set(before as string[]), new Set(after as string[]))
    : isDeepStrictEqual(before, after);
}

function toEdit(
  { field, table }: Entry,
  { from, to }: Pick<FieldEdit, 'from' | 'to'>,
  fieldClass: FieldClass = FIELD_CLASSES[field],
): FieldEdit {
  return { field, table, fieldClass, from, to };
}

function nameOf({ field, table }: Pick<Entry, 'field' | 'table'>): string {
  return table === undefined ? field : field.replace('[]', `[${table}]`);
}

/** Flow style, without line breaks whatever is in it. */
function oneLine(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const options = { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: false } as const;
  return stringify(value, { ...options, blockQuote: false, singleQuote: false }).trimEnd();
}

function entriesOf(mirror: Partial<Mirror>): Entry[] {
  const { snapshot, cdc } = mirror;
  return [
    ...connectionEntries('spec.source', mirror.source),
    ...connectionEntries('spec.destination', mirror.destination),
    { field: 'spec.suspend', value: mirror.suspend },
    { field: 'spec.suspendReason', value: mirror.suspendReason },
    { field: 'spec.deletionPolicy', value: mirror.deletionPolicy },
    { field: 'spec.resyncGeneration', value: mirror.resyncGeneration },
    { field: 'spec.replicateIndexes', value: mirror.replicateIndexes },
    { field: 'spec.replicateForeignKeys', value: mirror.replicateForeignKeys },
    { field: 'spec.schemaChanges', value: mirror.schemaChanges },
    { field: 'spec.onSlotLoss', value: mirror.onSlotLoss },
    { field: 'spec.maintenanceWindows', value: mirror.maintenanceWindows },
    { field: 'spec.publication', value: mirror.publication?.name },
    { field: 'spec.snapshot.initial', value: snapshot?.initial },
    { field: 'spec.snapshot.rowsPerPartition', value: snapshot?.rowsPerPartition },
    { field: 'spec.snapshot.maxParallelWorkers', value: snapshot?.maxParallelWorkers },
    { field: 'spec.snapshot.tablesInParallel', value: snapshot?.tablesInParallel },
    { field: 'spec.cdc.maxBatchSize', value: cdc?.maxBatchSize },
    { field: 'spec.cdc.idleTimeoutSeconds', value: cdc?.idleTimeoutSeconds },
    ...tablesOf(mirror).flatMap((entry, index) => [
      entry,
      ...tableEntries(entry.table, mirror.tables?.[index]),
    ]),
  ];
}

function connectionEntries(
  end: 'spec.source' | 'spec.destination',
  connection: Connection | undefined,
): Entry[] {
  if (connection === undefined) return [];
  const { host, port, database, user, password, sslMode } = connection;
  const { sslRootCert, sslCert, sslKey } = connection;
  const fields = { host, port, database, user, password, sslMode, sslRootCert, sslCert, sslKey };
  return Object.entries(fields).map(([name, value]) => ({
    field: `${end}.${name as keyof typeof fields}`,
    value,
  }));
}

interface TableEntry extends Entry {
  readonly table: string;
}

function tablesOf({ tables = [] }: Partial<Mirror>): TableEntry[] {
  return tables.map(({ source, destination }) => ({
    field: 'spec.tables[]',
    table: formatTableName(source),
    value: formatTableName(destination),
  }));
}

function tableEntries(table: string, one: Partial<MirrorTable> | undefined): Entry[] {
  const { destination, excludeColumns, generation, resyncStrategy } = one ?? {};
  const to = destination && formatTableName(destination);
  return [
    { field: 'spec.tables[].destination', table, value: to },
    { field: 'spec.tables[].excludeColumns', table, value: excludeColumns },
    { field: 'spec.tables[].resyncGeneration', table, value: generation?.table },
    { field: 'spec.tables[].resyncStrategy', table, value: resyncStrategy },
  ];
}
