/** Where the sequences of a swapped table go on. Pure text. */
import type { SequencePart, TableParts } from '../core/belongings.ts';
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';

interface Rows {
  readonly table: TableName;
  readonly parts: TableParts;
}

/**
 * A sequence takes over from another one; where the mirror brought rows beyond it, past the last of
 * them, so that what it hands out next is in no row yet. Never back.
 */
export function continueSequenceSql(sequence: SequencePart, from: TableName, rows: Rows): string {
  const [beyond, notBefore] = sequence.ascending ? ['>', '>='] : ['<', '<='];
  return `select setval(${regclass(sequence.name)},
  case when m.value ${beyond} s.last_value then m.value else s.last_value end,
  s.is_called or coalesce(m.value ${notBefore} s.last_value, false))
from ${quoteTable(from)} s, ${lastRowSql(sequence, rows)} m`;
}

/** The same for one that stays what it is: nothing when no row is beyond it. */
export function advanceSequenceSql(sequence: SequencePart, rows: Rows): string {
  const beyond = sequence.ascending ? '>' : '<';
  return `select setval(${regclass(sequence.name)}, m.value, true)
from ${quoteTable(sequence.name)} s, ${lastRowSql(sequence, rows)} m
where m.value ${beyond} s.last_value or m.value = s.last_value and not s.is_called`;
}

/** Of those that the sequence could hand out; and only where an index has it at once. */
function lastRowSql(sequence: SequencePart, { table, parts }: Rows): string {
  const leads = parts.columns.some(({ name, leads: first }) => first && name === sequence.column);
  if (!leads || !sequence.counts) return '(select null::bigint as value)';
  const column = quoteIdent(sequence.column);
  const last = `${sequence.ascending ? 'max' : 'min'}(${column})::bigint`;
  return `(select ${last} as value from ${quoteTable(table)} where ${column} between ${sequence.min} and ${sequence.max})`;
}

function regclass(sequence: TableName): string {
  return `${quoteLiteral(quoteTable(sequence))}::regclass`;
}
