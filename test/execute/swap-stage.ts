/** A destination with the table that has everything, for the tests of swaps. */
import assert from 'node:assert/strict';
import { MirrorError, type ErrorCode } from '../../src/core/errors.ts';
import { NO_MEND } from '../../src/plan/mend.ts';
import type { Connection } from '../../src/core/mirror.ts';
import type { TableRecord } from '../../src/core/table-state.ts';
import { restoreForeignKey } from '../../src/execute/foreign-keys.ts';
import { buildShadow, createShadow, dropShadow } from '../../src/execute/shadow.ts';
import { prepareSwap, swapTables } from '../../src/execute/swap.ts';
import {
  migrateLedger,
  readLedger,
  registerMirror,
  registerTable,
  type Owner,
} from '../../src/postgres/ledger.ts';
import { writeAsReplica } from '../../src/postgres/replica-role.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import { quoteTable } from '../../src/sql/quote.ts';
import { sharedClusters } from '../servers/shared.ts';
import { EVERYTHING, LIVE, ROLES, TABLE } from './belongings-fixture.ts';
import { dumpCatalog } from './catalog.ts';

export const OWNER: Owner = { mirror: 'swaps', epoch: 0n };

/** A destination with the table on it: the stream's session, one beside it, and a superuser's. */
export class Stage implements AsyncDisposable {
  readonly connection: Connection;
  readonly stream: Session;
  readonly beside: Session;
  readonly root: Session;
  readonly record: TableRecord;

  constructor(connection: Connection, sessions: readonly Session[], record: TableRecord) {
    const [stream, beside, root] = sessions;
    assert.ok(stream && beside && root);
    this.connection = connection;
    this.stream = stream;
    this.beside = beside;
    this.root = root;
    this.record = record;
  }

  /** Several statements, as superuser. */
  async run(sql: string): Promise<void> {
    await this.root.client.query(sql);
  }

  /** The first column of the first row. */
  async value(sql: string): Promise<string | null | undefined> {
    return Object.values((await this.root.query(sql))[0] ?? {})[0];
  }

  async dump(): Promise<string[]> {
    return dumpCatalog(this.root);
  }

  /** A shadow with the live table's rows, `payload` telling them apart, and `more` statements on it. */
  async fill(payload: string, more = ''): Promise<void> {
    const shadow = quoteTable(await createShadow(this.beside, OWNER, this.record, NO_MEND));
    await this.run(`
      set session_replication_role = replica;
      insert into ${shadow} (id, by_default, serial_id, customer, parent, code, title, during, payload, secret)
        overriding system value
        select id, by_default, serial_id, customer, parent, code, title, during, '${payload}', secret from ${LIVE};
      ${more.replaceAll('SHADOW', shadow)};
      set session_replication_role = origin;`);
    await buildShadow(this.beside, this.record, NO_MEND);
    await this.beside.query(`analyze ${shadow}`);
  }

  /** One try, as the stream makes it between two transactions; returns how long it took in ms. */
  async swap(): Promise<number> {
    const plan = await prepareSwap(this.beside, this.record);
    const begin = performance.now();
    await this.stream.transaction(async () => swapTables(this.stream, OWNER, this.record, plan));
    return performance.now() - begin;
  }

  /** What the plan does later: the foreign keys are validated and forgotten. */
  async settle(): Promise<number> {
    await dropShadow(this.beside, OWNER, this.record);
    const { savedForeignKeys } = await readLedger(this.beside, OWNER.mirror);
    const context = { destination: this.beside } as Parameters<typeof restoreForeignKey>[0];
    for (const saved of savedForeignKeys)
      await restoreForeignKey(context, { kind: 'restore-foreign-key', table: undefined, saved });
    return savedForeignKeys.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.stream.close(), this.beside.close(), this.root.close()]);
  }
}

let rolesMade: Promise<unknown> | undefined;

export async function startStage(role: 'superuser' | 'mover' = 'superuser'): Promise<Stage> {
  const { destination } = await sharedClusters();
  await (rolesMade ??= destination.query('postgres', ROLES));
  const database = await destination.createDatabase();
  await destination.query('postgres', `grant create on database "${database}" to mover`);
  process.env['MOVER_PASSWORD'] = 'mover';
  const rootConnection = destination.connection(database);
  const connection =
    role === 'superuser'
      ? rootConnection
      : { ...rootConnection, user: 'mover', password: { env: 'MOVER_PASSWORD' } };
  const root = await openSession(rootConnection, { mirror: 'test', role: 'observer' });
  await root.client.query(EVERYTHING);
  const stream = await openSession(connection, { mirror: OWNER.mirror, role: 'writer' });
  const beside = await openSession(connection, { mirror: OWNER.mirror, role: 'replayer' });
  await migrateLedger(stream);
  await registerMirror(stream, {
    name: OWNER.mirror,
    epoch: 0n,
    slot: 'none',
    publication: 'none',
    sourceSystemIdentifier: '1',
    sourceDatabase: 'none',
  });
  await registerTable(stream, OWNER, { source: TABLE, destination: TABLE });
  await writeAsReplica(stream);
  const [record] = (await readLedger(stream, OWNER.mirror)).tables;
  assert.ok(record);
  return new Stage(connection, [stream, beside, root], record);
}

/** Lines that one dump has more often than the other, so that a failure can be read. */
export function difference(before: readonly string[], after: readonly string[]): string[] {
  const surplus = (lines: readonly string[], others: readonly string[]): string[] => {
    const rest = [...others];
    return lines.filter((line) => {
      const found = rest.indexOf(line);
      if (found !== -1) rest.splice(found, 1);
      return found === -1;
    });
  };
  return [
    ...surplus(before, after).map((line) => `- ${line}`),
    ...surplus(after, before).map((line) => `+ ${line}`),
  ];
}

export async function rejection(work: Promise<unknown>, code: ErrorCode): Promise<MirrorError> {
  const error = await work.then(
    () => assert.fail('it went through'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MirrorError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}
