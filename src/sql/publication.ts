/** Statements for publications and slots on the source. Pure text. */
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';

/** Partitions come under their root's name, and every operation comes. */
const PARAMETERS = `publish = 'insert, update, delete, truncate', publish_via_partition_root = true`;

/** Fails when it exists. ONLY: children by inheritance are other tables. */
export function createPublicationSql(name: string, tables: readonly TableName[]): string {
  const list = tables.length === 0 ? '' : ` for table ${onlyTables(tables)}`;
  return `create publication ${quoteIdent(name)}${list} with (${PARAMETERS})`;
}

/** Sets the parameters; nothing when they are so. */
export function setPublicationSql(name: string): string {
  return `alter publication ${quoteIdent(name)} set (${PARAMETERS})`;
}

/** Fails when one of them is in it. */
export function addToPublicationSql(name: string, tables: readonly TableName[]): string {
  return `alter publication ${quoteIdent(name)} add table ${onlyTables(tables)}`;
}

/** Fails when one of them is not in it. */
export function dropFromPublicationSql(name: string, tables: readonly TableName[]): string {
  return `alter publication ${quoteIdent(name)} drop table ${onlyTables(tables)}`;
}

/** Nothing when there is none. */
export function dropPublicationSql(name: string): string {
  return `drop publication if exists ${quoteIdent(name)}`;
}

/** Fails when there is none, or somebody reads it. */
export function dropSlotSql(name: string): string {
  return `select pg_drop_replication_slot(${quoteLiteral(name)})`;
}

/** All that a mirror makes at its source, for a human to undo; `publication`: undefined for somebody else's. */
export function cleanSourceSql(slot: string, publication: string | undefined): string[] {
  return [
    dropSlotSql(slot),
    ...(publication === undefined ? [] : [dropPublicationSql(publication)]),
  ];
}

/** Waits until nobody writes the table or its partitions, and keeps writers out until the transaction ends. */
export function lockOutWritersSql(table: TableName): string {
  return `lock table ${quoteTable(table)} in share row exclusive mode`;
}

function onlyTables(tables: readonly TableName[]): string {
  return tables.map((table) => `only ${quoteTable(table)}`).join(', ');
}
