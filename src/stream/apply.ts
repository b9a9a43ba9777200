/**
 * Writes the changes of one table into it, inside the caller's transaction: set-wise where folding is
 * exact, in source order where it is not. Right first, then fast.
 */
import { MirrorError } from '../core/errors.ts';
import { formatTableName } from '../core/table-name.ts';
import { copyInto } from '../postgres/copy-streams.ts';
import type { Session } from '../postgres/session.ts';
import {
  copyIntoSql,
  deleteOneSql,
  deleteSql,
  insertSql,
  replaceSql,
  updateOneSql,
  updateSql,
  type KeyColumn,
} from '../sql/apply.ts';
import type { Relation, Tuple } from './decode.ts';
import {
  foldChanges,
  keyText,
  mergeTuples,
  sentColumns,
  type NetEffect,
  type RowChange,
} from './fold.ts';
import type { ApplyTarget } from './target.ts';
import { copyRows, textArray, textValue } from './values.ts';

/** From this many rows on a COPY is cheaper than one INSERT with arrays. */
const COPY_MIN_ROWS = 200;

/** What an apply found out of place: rows to change or delete that were not there. */
export interface ApplyResult {
  readonly missingRows: number;
}

/** A relation's columns, matched by name to what can be written at the destination. */
interface Mapping {
  /** For each column of the relation; undefined where it is not written. */
  readonly columns: readonly (KeyColumn | undefined)[];
  /** Positions of the columns that are written. */
  readonly written: readonly number[];
  /** Positions of the key; empty when rows can only be told apart by all their columns. */
  readonly key: readonly number[];
}

/** Changes must be of one table; they may be under several descriptions of it, in order. Throws MirrorError. */
export async function applyChanges(
  session: Session,
  target: ApplyTarget,
  changes: readonly RowChange[],
): Promise<ApplyResult> {
  let missingRows = 0;
  for (const run of runsByRelation(changes)) {
    const relation = run[0]?.relation;
    if (relation !== undefined) missingRows += await applyRun(session, target, relation, run);
  }
  return { missingRows };
}

function runsByRelation(changes: readonly RowChange[]): RowChange[][] {
  const runs: RowChange[][] = [];
  for (const change of changes) {
    const last = runs.at(-1);
    if (last?.[0] !== undefined && isSame(last[0].relation, change.relation)) last.push(change);
    else runs.push([change]);
  }
  return runs;
}

/** Each row of a spool brings a description of its own: a replay is folded over all that say the same. */
function isSame(a: Relation, b: Relation): boolean {
  return a === b || a.raw.equals(b.raw);
}

async function applyRun(
  session: Session,
  target: ApplyTarget,
  relation: Relation,
  changes: readonly RowChange[],
): Promise<number> {
  const mapping = mapColumns(target, relation);
  const writer = new TableWriter(session, target, mapping);
  const net = foldChanges(changes, relation, mapping.key);
  if (net === undefined) return writer.inOrder(changes);
  const single = changes.length === 1;
  if (single || !canCollide(target, mapping)) return writer.setWise(net);
  return writer.setWiseOr(net, async () => writer.inOrder(changes));
}

/** Whether a unique value besides the key can move between rows, and folded writes collide on the way. */
function canCollide(target: ApplyTarget, { columns, key }: Mapping): boolean {
  const names = new Set(key.map((position) => columns[position]?.name));
  const isKey =
    names.size === target.primaryKey.length && target.primaryKey.every((name) => names.has(name));
  return target.hasOtherUnique || (target.primaryKey.length > 0 && !isKey);
}

function mapColumns(target: ApplyTarget, relation: Relation): Mapping {
  const columns = relation.columns.map(({ name, key }) => {
    // Rows without their key would be nobody's.
    if (target.excluded.has(name) && key && relation.identity !== 'full') throw lacksKey(target);
    if (target.excluded.has(name) || target.generated.has(name)) return undefined;
    const column = target.columns.get(name);
    if (!column)
      throw new MirrorError(
        'SchemaMismatch',
        `column ${name} of the source is missing in ${formatTableName(target.table)}`,
      );
    return column;
  });
  const written = columns.flatMap((column, position) => (column === undefined ? [] : [position]));
  return { columns, written, key: keyPositions(target, relation) };
}

/** FULL marks every column as key: where the destination has a primary key that one is used. */
function keyPositions(target: ApplyTarget, relation: Relation): number[] {
  if (relation.identity !== 'full')
    return relation.columns.flatMap(({ key }, position) => (key ? [position] : []));
  const positions = target.primaryKey.map((name) =>
    relation.columns.findIndex((column) => column.name === name),
  );
  return positions.includes(-1) ? [] : positions;
}

/** Writes to one table under one mapping. */
class TableWriter {
  readonly #session: Session;
  readonly #target: ApplyTarget;
  readonly #mapping: Mapping;

  constructor(session: Session, target: ApplyTarget, mapping: Mapping) {
    this.#session = session;
    this.#target = target;
    this.#mapping = mapping;
  }

  /** Deletes, then updates, then inserts. Returns how many rows were not there. */
  async setWise(net: NetEffect): Promise<number> {
    let missing = await this.#delete(net.deletes);
    for (const group of net.updates) missing += await this.#update(group.tuples, group.columns);
    await this.#insert(net.inserts);
    return missing;
  }

  /** Set-wise; when a unique value moves between rows on the way, the other road from the same start. */
  async setWiseOr(net: NetEffect, otherwise: () => Promise<number>): Promise<number> {
    await this.#session.query('savepoint folded');
    try {
      const missing = await this.setWise(net);
      await this.#session.query('release savepoint folded');
      return missing;
    } catch (error) {
      if (!(error instanceof MirrorError) || error.code !== 'ConstraintViolated') throw error;
      await this.#session.query('rollback to savepoint folded');
      await this.#session.query('release savepoint folded');
      return otherwise();
    }
  }

  /** One change after the other; only neighbouring inserts go together. */
  async inOrder(changes: readonly RowChange[]): Promise<number> {
    let missing = 0;
    let inserts: Tuple[] = [];
    for (const change of changes) {
      if (change.tag === 'insert') {
        inserts.push(change.new);
        continue;
      }
      await this.#insert(inserts);
      inserts = [];
      missing +=
        change.tag === 'update' ? await this.#updateOne(change) : await this.#deleteOne(change.old);
    }
    await this.#insert(inserts);
    return missing;
  }

  async #insert(tuples: readonly Tuple[]): Promise<void> {
    if (tuples.length === 0) return;
    const { written } = this.#mapping;
    const columns = this.#columns(written);
    if (tuples.length >= COPY_MIN_ROWS && written.length > 0) {
      await copyInto(
        this.#session,
        copyIntoSql(this.#target.table, columns),
        copyRows(tuples, written),
      );
      return;
    }
    const statement = insertSql(this.#target.table, columns);
    if (written.length > 0)
      await this.#session.runPrepared(statement, this.#arrays(tuples, written));
    else for (let row = 0; row < tuples.length; row += 1) await this.#session.run(statement);
  }

  /** Of rows whose key did not change. */
  async #update(tuples: readonly Tuple[], columns: readonly number[]): Promise<number> {
    const { key } = this.#mapping;
    const sent = columns.filter((column) => this.#isWritten(column) && !key.includes(column));
    const fixed = sent.filter((column) => this.#isFixed(column));
    const set = sent.filter((column) => !fixed.includes(column));
    if (sent.length === 0) return 0;
    if (set.length === 0) return this.#replace(tuples, tuples, sent);
    // What UPDATE cannot set is the same as before, or the row is not found.
    const by = [...key, ...fixed];
    const statement = updateSql(this.#target.table, this.#columns(by), this.#columns(set));
    const values = [...this.#arrays(tuples, by), ...this.#arrays(tuples, set)];
    const missing = tuples.length - (await this.#session.runPrepared(statement, values));
    return missing > 0 && fixed.length > 0 ? this.#replace(tuples, tuples, sent) : missing;
  }

  async #replace(
    old: readonly Tuple[],
    tuples: readonly Tuple[],
    sent: readonly number[],
  ): Promise<number> {
    const { key } = this.#mapping;
    const set = this.#columns(sent);
    const kept = [...this.#target.columns.values()].filter((column) => !set.includes(column));
    const statement = replaceSql(this.#target.table, this.#columns(key), { set, kept });
    const values = [...this.#arrays(old, key), ...this.#arrays(tuples, sent)];
    return tuples.length - (await this.#session.runPrepared(statement, values));
  }

  async #updateOne(change: Extract<RowChange, { tag: 'update' }>): Promise<number> {
    const { key, columns } = this.#mapping;
    const { old } = change;
    const sent = sentColumns(change.new, columns.length).filter((column) =>
      this.#isWritten(column),
    );
    if (key.length === 0) return this.#updateUnkeyed(change, sent);
    if (old === undefined || keyText(old, key) === keyText(change.new, key))
      return this.#update([change.new], sent);
    if (sent.some((column) => this.#isFixed(column)))
      return this.#replace([old], [change.new], sent);
    const statement = updateSql(this.#target.table, this.#columns(key), this.#columns(sent));
    return (
      1 -
      (await this.#session.runPrepared(statement, [
        ...this.#arrays([old], key),
        ...this.#arrays([change.new], sent),
      ]))
    );
  }

  /** One row that prints like the old one. */
  async #updateUnkeyed(
    change: Extract<RowChange, { tag: 'update' }>,
    sent: readonly number[],
  ): Promise<number> {
    const { old } = change;
    if (old === undefined) throw noIdentity(this.#target);
    const fixed = sent.filter((column) => this.#isFixed(column));
    if (keyText(old, fixed) !== keyText(change.new, fixed)) {
      const missing = await this.#deleteOne(old);
      if (missing === 0) await this.#insert([mergeTuples(old, change.new)]);
      return missing;
    }
    const set = sent.filter((column) => !fixed.includes(column));
    if (set.length === 0) return 0;
    const by = this.#mapping.written;
    const statement = updateOneSql(this.#target.table, this.#columns(by), this.#columns(set));
    const values = [...this.#values(old, by), ...this.#values(change.new, set)];
    return 1 - (await this.#session.runPrepared(statement, values));
  }

  async #delete(tuples: readonly Tuple[]): Promise<number> {
    if (tuples.length === 0) return 0;
    const { key } = this.#mapping;
    const statement = deleteSql(this.#target.table, this.#columns(key));
    return tuples.length - (await this.#session.runPrepared(statement, this.#arrays(tuples, key)));
  }

  async #deleteOne(old: Tuple): Promise<number> {
    if (this.#mapping.key.length > 0) return this.#delete([old]);
    const by = this.#mapping.written;
    const statement = deleteOneSql(this.#target.table, this.#columns(by));
    return 1 - (await this.#session.runPrepared(statement, this.#values(old, by)));
  }

  #isWritten(column: number): boolean {
    return this.#mapping.columns[column] !== undefined;
  }

  /** UPDATE cannot set it. */
  #isFixed(column: number): boolean {
    const name = this.#mapping.columns[column]?.name;
    return name !== undefined && this.#target.identityAlways.has(name);
  }

  #columns(positions: readonly number[]): KeyColumn[] {
    return positions.map((position) => {
      const column = this.#mapping.columns[position];
      if (!column) throw lacksKey(this.#target);
      return column;
    });
  }

  #arrays(tuples: readonly Tuple[], columns: readonly number[]): Buffer[] {
    return columns.map((column) => textArray(tuples, column));
  }

  #values(tuple: Tuple, columns: readonly number[]): (Buffer | null)[] {
    return columns.map((column) => textValue(tuple, column));
  }
}

function lacksKey(target: ApplyTarget): MirrorError {
  return new MirrorError(
    'SchemaMismatch',
    `a key column of ${formatTableName(target.table)} is excluded or generated`,
  );
}

function noIdentity(target: ApplyTarget): MirrorError {
  return new MirrorError(
    'NoReplicaIdentity',
    `an update of ${formatTableName(target.table)} came without its old row`,
  );
}
