/** The statements by which a shadow takes its table's place, all in one transaction. Pure text. */
import type {
  Access,
  Belongings,
  Comment,
  ForeignKeyPart,
  SequencePart,
  Side,
  TableParts,
} from '../core/belongings.ts';
import { sameTable, type TableName } from '../core/table-name.ts';
import { dropForeignKeySql } from './foreign-key-ddl.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';
import { chooseIndexesSql, type LeftOut, shadowStatistics } from './shadow.ts';
import {
  accessSql,
  commentsSql,
  foreignKeySql,
  isOwn,
  keeperSql,
  policySql,
  publishSql,
  readingPolicySql,
  readingRuleSql,
  switchedSql,
  unpublishSql,
  viewSql,
} from './swap-belongings.ts';
import { advanceSequenceSql, continueSequenceSql } from './swap-sequences.ts';

export interface Swap {
  readonly live: Side;
  readonly shadow: Side;
  /** Where the live table goes. */
  readonly old: TableName;
  readonly leftOut: LeftOut;
}

/** The foreign keys that come back: all but the table's own that the source's shape leaves no room for. */
export function keptForeignKeys({ live, leftOut }: Swap): ForeignKeyPart[] {
  return live.belongings.foreignKeys.filter(
    (key) => !(isOwn(key, live.table) && leftOut.constraints.includes(key.name)),
  );
}

/** What it references is no key of the new table: only the source's own words can bring it back, later. */
export function isOutgrown(key: ForeignKeyPart, { live, leftOut }: Swap): boolean {
  const gone = [...leftOut.constraints, ...leftOut.indexes];
  return sameTable(key.references, live.table) && gone.includes(key.index);
}

/**
 * In this order. Everything that the old table still had a hold on makes the proof in it fail. `role` is
 * ours: what others granted is granted by them again, then it goes on.
 */
export function swapSql(swap: Swap, role: string): string[] {
  const { live, shadow, old } = swap;
  return [
    ...releaseSql(swap),
    `alter table ${quoteTable(live.table)} set schema ${quoteIdent(old.schema)}`,
    ...readyShadowSql(swap),
    `alter table ${quoteTable(shadow.table)} set schema ${quoteIdent(live.table.schema)}`,
    ...equipSql(swap, role),
    ...bindSql(swap),
    ...proofSql(old),
    // A value that a sequence hands out is never taken back: after everything that may fail.
    ...serials(live).map((sequence) =>
      advanceSequenceSql(sequence, { table: live.table, parts: shadow.parts }),
    ),
    // The owner itself could not have read the rows any more.
    ...rowSecuritySql(live.table, live.belongings),
  ];
}

function releaseSql({ live }: Swap): string[] {
  return [
    ...live.belongings.foreignKeys.map((key) => dropForeignKeySql(key.owner, key.name)),
    ...live.belongings.publications.map((membership) => unpublishSql(live.table, membership)),
    ...live.parts.statistics.map(({ name }) => `drop statistics ${quoteTable(name)}`),
    // Or it would go where the old table goes, and end with it.
    ...serials(live).map(({ name }) => `alter sequence ${quoteTable(name)} owned by none`),
  ];
}

/** Still in our schema, where the new owner needs no right that it may lack in the table's own. */
function readyShadowSql({ live, shadow, old }: Swap): string[] {
  const { owner } = live.belongings;
  const owners = new Set([owner, ...live.parts.statistics.map((statistics) => statistics.owner)]);
  const { schema } = shadow.table;
  return [
    // They come with all the others.
    ...shadow.belongings.triggers.map(
      ({ name }) => `drop trigger ${quoteIdent(name)} on ${quoteTable(shadow.table)}`,
    ),
    ...identities(shadow).map((sequence) => {
      const before = identities(live).find(({ column }) => column === sequence.column);
      const from = before ? { schema: old.schema, name: before.name.name } : sequence.name;
      return continueSequenceSql(sequence, from, shadow);
    }),
    ...[...owners].map(
      (role) => `grant usage, create on schema ${quoteIdent(schema)} to ${quoteIdent(role)}`,
    ),
    `alter table ${quoteTable(shadow.table)} owner to ${quoteIdent(owner)}`,
    ...live.parts.statistics.flatMap((statistics) => {
      const twin = quoteTable(shadowStatistics(schema, statistics));
      const { name, comment } = statistics;
      const renamed = quoteTable({ schema, name: name.name });
      return [
        `alter statistics ${twin} owner to ${quoteIdent(statistics.owner)}`,
        ...(comment === null ? [] : [`comment on statistics ${twin} is ${quoteLiteral(comment)}`]),
        `alter statistics ${twin} rename to ${quoteIdent(name.name)}`,
        `alter statistics ${renamed} set schema ${quoteIdent(name.schema)}`,
      ];
    }),
  ];
}

function equipSql({ live, shadow, leftOut }: Swap, role: string): string[] {
  const { table, parts, belongings: wanted } = live;
  const present = shadow.belongings;
  const comments = wanted.comments.filter((comment) => isThere(shadow.parts, comment));
  const access = wanted.access.filter((object) => isThere(shadow.parts, object));
  return [
    ...serials(live).map(
      ({ name, column }) =>
        `alter sequence ${quoteTable(name)} owned by ${quoteTable(table)}.${quoteIdent(column)}`,
    ),
    ...accessSql(table, { wanted: { ...wanted, access }, present, role }),
    ...commentsSql(table, comments, present.comments),
    ...chooseIndexesSql(table, parts, shadow.parts, leftOut),
    ...wanted.rules.flatMap((rule) => switchedSql(table, 'rule', rule)),
    ...wanted.triggers.flatMap((trigger) => switchedSql(table, 'trigger', trigger)),
    ...wanted.policies.flatMap((policy) => policySql(table, policy)),
    ...wanted.publications.map((membership) => publishSql(table, membership)),
  ];
}

/** What is not the table's, and has to find the new one under the old name. */
function bindSql(swap: Swap): string[] {
  const { views, functions, readingPolicies, readingRules } = swap.live.belongings;
  return [
    ...keptForeignKeys(swap)
      .filter((key) => !isOutgrown(key, swap))
      .flatMap(foreignKeySql),
    ...swap.live.belongings.keepers.map(keeperSql),
    ...views.map(viewSql),
    ...functions,
    ...readingPolicies.map(readingPolicySql),
    ...readingRules.map(readingRuleSql),
  ];
}

/** RESTRICT fails with the names of all that still depends on it. The table itself goes later. */
function proofSql(old: TableName): string[] {
  return [
    'savepoint bunnydb_proof',
    `drop table ${quoteTable(old)} restrict`,
    'rollback to savepoint bunnydb_proof',
    'release savepoint bunnydb_proof',
  ];
}

function rowSecuritySql(table: TableName, wanted: Belongings): string[] {
  const alter = `alter table ${quoteTable(table)}`;
  return [
    ...(wanted.rowSecurity ? [`${alter} enable row level security`] : []),
    ...(wanted.forceRowSecurity ? [`${alter} force row level security`] : []),
  ];
}

function serials({ parts }: Side): SequencePart[] {
  return parts.sequences.filter(({ identity }) => !identity);
}

function identities({ parts }: Side): SequencePart[] {
  return parts.sequences.filter(({ identity }) => identity);
}

/** What the source's shape has no place for took its comment and its grants along. */
function isThere(
  parts: TableParts,
  { kind, name }: Pick<Comment | Access, 'kind' | 'name'>,
): boolean {
  if (kind === 'constraint') return parts.constraintNames.includes(name);
  if (kind === 'index') return [...parts.keys, ...parts.indexes].some((part) => part.name === name);
  if (kind === 'sequence') return parts.sequences.some((sequence) => sequence.name.name === name);
  return true;
}
