/**
 * Where a swap keeps its tables. Schemas of our own for each mirrored table, so that a shadow bears the
 * table's own name, and so do its indexes: no name of a user's is ever taken (TRAPS 47).
 */
import type {
  CheckPart,
  ColumnPart,
  IndexPart,
  KeyPart,
  SequencePart,
  StatisticsPart,
  TableParts,
  Trigger,
} from '../core/belongings.ts';
import { OLD_SCHEMA_PREFIX, SHADOW_SCHEMA_PREFIX } from '../core/reserved-schema.ts';
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';

interface Swapped {
  /** The ledger's id of the table. */
  readonly id: string;
  readonly destination: TableName;
}

/** The table that a swap fills. */
export function shadowOf({ id, destination }: Swapped): TableName {
  return { schema: `${SHADOW_SCHEMA_PREFIX}${id}`, name: destination.name };
}

/** Where the old table is between the swap and its end. */
export function oldOf({ id, destination }: Swapped): TableName {
  return { schema: `${OLD_SCHEMA_PREFIX}${id}`, name: destination.name };
}

/** What the shadow goes without, by name: the source has something else in its place. */
export interface LeftOut {
  readonly constraints: readonly string[];
  readonly indexes: readonly string[];
}

/** By it we know our schemas again; a schema that only has such a name is not ours to drop. */
const MARK = 'bunnydb: a swap keeps its tables here.';

/** The shadow's schema also remembers what was left out: the hand-over may come after a restart. */
export function createSwapSchemaSql(schema: string, leftOut?: LeftOut): string[] {
  const comment = leftOut === undefined ? MARK : `${MARK} Left out: ${JSON.stringify(leftOut)}`;
  return [
    `create schema ${quoteIdent(schema)}`,
    `comment on schema ${quoteIdent(schema)} is ${quoteLiteral(comment)}`,
  ];
}

export function isSwapSchema(comment: string | undefined): boolean {
  return comment?.startsWith(MARK) === true;
}

/** Throws when the comment of the shadow's schema is not as we wrote it. */
export function leftOutIn(comment: string): LeftOut {
  return JSON.parse(comment.slice(`${MARK} Left out: `.length)) as LeftOut;
}

/** Its columns with their defaults, NOT NULL, identity and comments; no constraint and no index. */
export function createShadowSql(shadow: TableName, live: TableName, parts: TableParts): string {
  const kind = parts.unlogged ? 'unlogged table' : 'table';
  const including = ['defaults', 'generated', 'identity', 'storage', 'compression', 'comments'];
  const like = `like ${quoteTable(live)} ${including.map((what) => `including ${what}`).join(' ')}`;
  return inTablespace(
    parts.tablespace,
    `create ${kind} ${quoteTable(shadow)} (${like}) using ${quoteIdent(parts.accessMethod)}`,
  );
}

/** Storage parameters, statistics targets and options of columns. */
export function tuneSql(table: TableName, parts: TableParts): string[] {
  return [
    ...optionsSql(`alter table ${quoteTable(table)}`, parts.options),
    ...optionsSql(`alter table ${quoteTable(table)}`, parts.toastOptions, 'toast.'),
    ...parts.columns.flatMap((column) => tuneColumnSql(table, column)),
  ];
}

function tuneColumnSql(table: TableName, { name, target, options }: ColumnPart): string[] {
  const alter = `alter table ${quoteTable(table)} alter column ${quoteIdent(name)}`;
  return [
    ...(target === null ? [] : [`${alter} set statistics ${target}`]),
    ...optionsSql(alter, options),
  ];
}

function optionsSql(alter: string, options: readonly string[], prefix = ''): string[] {
  return options.length === 0 ? [] : [`${alter} set (${optionList(options, prefix)})`];
}

/** From `name=value` as the catalog has it to what stands in parentheses. */
export function optionList(options: readonly string[], prefix = ''): string {
  return options
    .map((option) => {
      const equals = option.indexOf('=');
      return `${prefix}${quoteIdent(option.slice(0, equals))} = ${quoteLiteral(option.slice(equals + 1))}`;
    })
    .join(', ');
}

/**
 * The identity sequences of the shadow under the names of the live table's. By way of names that no
 * sequence has: one's name may be what the server called another.
 */
export function renameSequencesSql(
  shadow: readonly SequencePart[],
  live: readonly SequencePart[],
): string[] {
  const pairs = shadow.flatMap(({ name, column }, index) => {
    const twin = live.find((sequence) => sequence.identity && sequence.column === column);
    return twin === undefined || twin.name.name === name.name
      ? []
      : [{ from: name, by: `bunnydb_${index}`, to: twin.name.name }];
  });
  return [
    // The server makes them all bigint.
    ...shadow.flatMap(({ name, column }) => {
      const twin = live.find((sequence) => sequence.identity && sequence.column === column);
      return twin ? [`alter sequence ${quoteTable(name)} as ${twin.type}`] : [];
    }),
    ...pairs.map(({ from, by }) => renameSequenceSql(from, by)),
    ...pairs.map(({ from, by, to }) => renameSequenceSql({ schema: from.schema, name: by }, to)),
  ];
}

function renameSequenceSql(sequence: TableName, name: string): string {
  return `alter sequence ${quoteTable(sequence)} rename to ${quoteIdent(name)}`;
}

/** Rows come into a shadow as they would into the table: what masks or fills a column does so here too. */
export function addTriggerSql(table: TableName, trigger: Trigger): string[] {
  const { name, definition, onto, enabled } = trigger;
  const turn = enabled === 'A' ? 'always' : 'replica';
  return [
    definition.replace(onto, () => ` ON ${quoteTable(table)} `),
    `alter table ${quoteTable(table)} enable ${turn} trigger ${quoteIdent(name)}`,
  ];
}

/** With its NOT VALID, when the definition has it. */
export function addCheckSql(table: TableName, { name, definition }: CheckPart): string {
  return `alter table ${quoteTable(table)} add constraint ${quoteIdent(name)} ${definition}`;
}

export function addKeySql(table: TableName, key: KeyPart): string {
  // Storage parameters stand before what is said of deferring.
  const end = key.definition.search(/( DEFERRABLE)?( INITIALLY DEFERRED)?$/);
  const kept = key.options.length === 0 ? '' : ` with (${optionList(key.options)})`;
  const definition = `${key.definition.slice(0, end)}${kept}${key.definition.slice(end)}`;
  return inTablespace(
    key.tablespace,
    `alter table ${quoteTable(table)} add constraint ${quoteIdent(key.name)} ${definition}`,
  );
}

export function addIndexSql(table: TableName, index: IndexPart): string[] {
  const name = quoteTable({ schema: table.schema, name: index.name });
  return [
    inTablespace(
      index.tablespace,
      `create ${index.unique ? 'unique ' : ''}index ${quoteIdent(index.name)} on ${quoteTable(table)} ${index.definition}`,
    ),
    ...index.targets.map(
      ({ column, target }) => `alter index ${name} alter column ${column} set statistics ${target}`,
    ),
  ];
}

/** In one transaction with the statement: several statements at once. */
function inTablespace(tablespace: string, statement: string): string {
  return `set local default_tablespace = ${quoteLiteral(tablespace)}; ${statement}`;
}

const KINDS: Readonly<Record<string, string>> = { d: 'ndistinct', f: 'dependencies', m: 'mcv' };

/** Statistics have a schema of their own, so the table's may share a name: the shadow's have none of theirs. */
export function shadowStatistics(schema: string, { id }: StatisticsPart): TableName {
  return { schema, name: `bunnydb_${id}` };
}

export function addStatisticsSql(table: TableName, statistics: StatisticsPart): string[] {
  const name = quoteTable(shadowStatistics(table.schema, statistics));
  // Those of one expression have no kinds to choose from.
  const kinds = statistics.kinds.flatMap((kind) => KINDS[kind] ?? []);
  const chosen = kinds.length === 0 ? '' : ` (${kinds.join(', ')})`;
  const { columns, target } = statistics;
  return [
    `create statistics ${name}${chosen} on ${columns} from ${quoteTable(table)}`,
    ...(target === null ? [] : [`alter statistics ${name} set statistics ${target}`]),
  ];
}

/** Which index names a row, and which one sorted the table: where the shadow has it otherwise. */
export function chooseIndexesSql(
  table: TableName,
  wanted: TableParts,
  present: TableParts,
  leftOut: LeftOut,
): string[] {
  const stays = (index: string | null): index is string =>
    index !== null && ![...leftOut.constraints, ...leftOut.indexes].includes(index);
  const { replicaIdentity, identityIndex, clusterIndex } = wanted;
  const actions: string[] = [];
  if (replicaIdentity !== present.replicaIdentity || identityIndex !== present.identityIndex) {
    const kind = { d: 'default', n: 'nothing', f: 'full' }[replicaIdentity];
    if (kind !== undefined) actions.push(`replica identity ${kind}`);
    else if (stays(identityIndex))
      actions.push(`replica identity using index ${quoteIdent(identityIndex)}`);
  }
  if (clusterIndex === null && present.clusterIndex !== null) actions.push('set without cluster');
  if (stays(clusterIndex) && clusterIndex !== present.clusterIndex)
    actions.push(`cluster on ${quoteIdent(clusterIndex)}`);
  return actions.map((action) => `alter table ${quoteTable(table)} ${action}`);
}

/** Ours by their names; which of them are there, with their comments. */
export const SELECT_SWAP_SCHEMAS = /* sql */ `
select nspname::text as schema, obj_description(oid, 'pg_namespace') as comment
from pg_namespace
where nspname = any ($1::text[])`;

/** RESTRICT is the server's default: what depends on the table makes it fail. */
export function dropSwappedSql(table: TableName): string[] {
  return [
    `drop table if exists ${quoteTable(table)}`,
    `drop schema if exists ${quoteIdent(table.schema)}`,
  ];
}
