/** How fast a table is copied: by bunnydb, and by two psql with a pipe between them, in turn. */
import { psqlVersion } from './machine.ts';
import { BenchMirror, type CopyTimes } from './mirror.ts';
import { copyByPsql } from './psql-copy.ts';
import { formatNumber, type Section } from './report.ts';
import { type BenchContext, settle } from './servers.ts';

interface SampleTable {
  readonly name: string;
  readonly what: string;
  readonly rows: number;
  /** The columns, without any key. */
  readonly create: string;
  readonly fill: string;
  readonly keys: string;
}

const ACCOUNTS: SampleTable = {
  name: 'accounts',
  what: 'ints and a filler',
  rows: 2_000_000,
  create: 'create table accounts (aid int not null, bid int, abalance int, filler char(84))',
  fill: `insert into accounts select n, 1 + n / 100000, 0, '' from generate_series(1, 2000000) as n`,
  keys: 'alter table accounts add primary key (aid)',
};

const DOCUMENTS: SampleTable = {
  name: 'documents',
  what: 'jsonb of about 350 bytes',
  rows: 600_000,
  create: 'create table documents (id bigint not null, changed_at timestamptz, body jsonb)',
  fill: `
    insert into documents
    select n, timestamptz '2026-01-01' + n * interval '1 second', jsonb_build_object(
      'customer', jsonb_build_object('id', n % 5000, 'name', 'customer ' || n % 5000, 'vip', n % 7 = 0),
      'lines', jsonb_build_array(
        jsonb_build_object('sku', md5(n::text), 'quantity', n % 9, 'price', (n % 1000) / 100.0),
        jsonb_build_object('sku', md5((n + 1)::text), 'quantity', n % 5, 'price', (n % 777) / 100.0)),
      'note', repeat('carrots and clover ', (n % 6)::int))
    from generate_series(1, 600000) as n`,
  keys: `
    alter table documents add primary key (id);
    create index documents_changed_at on documents (changed_at)`,
};

interface Run {
  readonly bunnydb: CopyTimes;
  /** Undefined without psql. */
  readonly anchor: { readonly rowsSeconds: number; readonly keysSeconds: number } | undefined;
}

/** One section for each table. */
export async function benchCopy(context: BenchContext): Promise<Section[]> {
  const hasAnchor = (await psqlVersion()) !== undefined;
  const sections: Section[] = [];
  for (const table of [ACCOUNTS, DOCUMENTS]) {
    const database = await context.source.createDatabase();
    const bytes = await fill(context, database, table);
    const runs: Run[] = [];
    for (let run = 1; run <= context.runs; run += 1) {
      const anchor = hasAnchor ? await copyAnchor(context, database, table) : undefined;
      const bunnydb = await copyMirror(context, database, table);
      runs.push({ anchor, bunnydb });
      context.say(
        `copy of ${table.name}, run ${run} of ${context.runs}: rows by psql in ${seconds(anchor?.rowsSeconds)}, by bunnydb in ${seconds(bunnydb.rowsSeconds)}`,
      );
    }
    sections.push(sectionOf(table, bytes, runs));
    await context.source.dropDatabase(database);
  }
  return sections;
}

function seconds(value: number | undefined): string {
  return value === undefined ? '-' : `${value.toFixed(2)} s`;
}

/** Returns the table's size. Hint bits are set here, or the first reader would pay for all. */
async function fill(
  { source, say }: BenchContext,
  database: string,
  table: SampleTable,
): Promise<number> {
  say(`filling ${table.name} with ${formatNumber(table.rows, 0)} rows`);
  await source.query(database, `${table.create}; ${table.fill}; ${table.keys}`);
  await source.query(database, `vacuum (freeze, analyze) ${table.name}`);
  const [row] = await source.query(database, `select pg_table_size('${table.name}') as bytes`);
  return Number(row?.['bytes']);
}

async function copyAnchor(
  context: BenchContext,
  sourceDatabase: string,
  table: SampleTable,
): Promise<Run['anchor']> {
  const { destination } = context;
  const database = await destination.createDatabase();
  await destination.query(database, table.create);
  await settle(context);
  const rowsSeconds = await copyByPsql(context, { sourceDatabase, database, table: table.name });
  const start = performance.now();
  await destination.query(database, table.keys);
  await destination.query(database, `analyze ${table.name}`);
  const keysSeconds = (performance.now() - start) / 1000;
  await assertComplete(context, database, table);
  await destination.dropDatabase(database);
  return { rowsSeconds, keysSeconds };
}

async function copyMirror(
  context: BenchContext,
  sourceDatabase: string,
  table: SampleTable,
): Promise<CopyTimes> {
  await using mirror = await BenchMirror.create(context, sourceDatabase, [table.name]);
  await settle(context);
  const times = await mirror.runOnce();
  await assertComplete(context, mirror.database, table);
  return times;
}

/** A fast copy of something else is not worth a figure. */
async function assertComplete(
  { destination }: BenchContext,
  database: string,
  { name, rows }: SampleTable,
): Promise<void> {
  const [found] = await destination.query(database, `select count(*) as rows from ${name}`);
  if (found?.['rows'] !== String(rows))
    throw new Error(`${name}: ${found?.['rows']} rows arrived of ${rows}`);
}

function sectionOf(
  { name, what, rows }: SampleTable,
  bytes: number,
  runs: readonly Run[],
): Section {
  const anchors = runs.flatMap(({ anchor }) => anchor ?? []);
  const ours = runs.map(({ bunnydb }) => bunnydb);
  const perSecond = (times: readonly number[]): number[] => times.map((time) => rows / time);
  const rowsAlone = perSecond(anchors.map(({ rowsSeconds }) => rowsSeconds));
  const withKeys = perSecond(
    anchors.map(({ rowsSeconds, keysSeconds }) => rowsSeconds + keysSeconds),
  );
  const keys = anchors.map(({ keysSeconds }) => keysSeconds);
  const anchorFigures = [
    { label: 'psql | psql (anchor): rows', unit: 'rows/s', values: rowsAlone },
    { label: 'anchor: keys and indexes', unit: 's', values: keys },
    { label: 'anchor: both', unit: 'rows/s', values: withKeys },
  ] as const;
  const figure = (key: keyof CopyTimes): number[] => ours.map((times) => times[key]);
  return {
    title: `copy of ${name}: ${formatNumber(rows, 0)} rows (${what}), ${formatNumber(bytes / 2 ** 20, 0)} MB`,
    figures: [
      ...(anchors.length > 0 ? anchorFigures : []),
      {
        label: 'bunnydb: rows',
        unit: 'rows/s',
        values: perSecond(figure('rowsSeconds')),
        anchor: rowsAlone,
      },
      {
        label: 'bunnydb: keys and indexes',
        unit: 's',
        values: figure('keysSeconds'),
        anchor: keys,
      },
      {
        label: 'bunnydb: whole road',
        unit: 'rows/s',
        values: perSecond(figure('wholeSeconds')),
        anchor: withKeys,
      },
      { label: 'bunnydb: whole road', unit: 's', values: figure('wholeSeconds') },
      { label: 'of it before the rows', unit: 's', values: figure('startSeconds') },
      { label: 'of it after the keys', unit: 's', values: figure('endSeconds') },
    ],
    remarks: [
      ...(anchors.length > 0 ? [] : ['the anchor is missing: no psql on the PATH']),
      'rows: into an empty table without indexes, binary; psql in one stream, bunnydb with its default workers',
      'bunnydb rows: from the step Copying until all rows are committed; keys: then until built and analysed',
      'whole road: `bunnydb run --once` until its process has ended (start, slot, table, rows, keys, replay, hand-over)',
    ],
  };
}
