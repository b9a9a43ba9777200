import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawLine, drawScreen, type View } from './screen.ts';
import { isSettled, type MirrorStatus, type TableStatus } from './status.ts';

const LIVE: TableStatus = {
  source: 'public.customers',
  destination: 'public.customers',
  phase: 'Live',
  resyncStatus: 'none',
  resyncGeneration: { desired: 0, observed: 0 },
  verification: { result: 'Match', rows: 20_000 },
};
const COPYING: TableStatus = {
  source: 'public.orders',
  destination: 'public.orders',
  phase: 'Copying',
  resyncStatus: 'in_progress',
  resyncGeneration: { desired: 1, observed: 0 },
  resync: { strategy: 'swap', step: 'Copying', rowsCopied: 15_000, rowsTotal: 60_000, percent: 25 },
};
const STATUS: MirrorStatus = {
  state: 'RESYNCING',
  conditions: [],
  lag: { bytes: 4096, seconds: 0.2, appliedLsn: '0/1A2B3C4' },
  tables: [LIVE, COPYING],
};
const VIEW: View = {
  status: STATUS,
  writesPerSecond: 49.7,
  sourceRows: new Map([['public.customers', 20_000]]),
  copyRows: new Map([['public.customers', 19_999]]),
  places: {
    mirrorDirectory: '/m',
    mirrorFile: '/m/shop.yaml',
    statusFile: '/s/shop.yaml',
    daemonLog: '/d.log',
    sourceUrl: 'postgresql://source',
    copyUrl: 'postgresql://copy',
    copyPassword: 'carrot',
  },
};

test('the screen shows a bar for a copy and the lag for a live table', () => {
  const lines = drawScreen(VIEW);
  assert.match(
    lines[0] ?? '',
    /^shop: RESYNCING {3}50 writes\/s.*lag 0\.2 s, 4,096 B.*0\/1A2B3C4$/,
  );
  const row = (name: string): string => lines.find((line) => line.includes(name)) ?? '';
  assert.match(row('public.customers'), /Live.*lag 0\.2 s.*20,000 │ +19,999 │ Match, 20,000 rows/);
  assert.match(row('│ public.orders'), /Copying.*█{5}░{15} +25%.*0 → 1 swap/);
  const text = lines.join('\n');
  for (const place of Object.values(VIEW.places)) assert.ok(text.includes(place), place);
  const [box] = lines.slice(-1);
  assert.ok(lines.slice(-11).every((line) => line.length === box?.length));
});

test('the screen fits into a terminal of 24 lines while a resync runs, and its commands into 80 columns', () => {
  const ready = { type: 'Ready', status: 'False', reason: 'ResyncInProgress', message: 'resync' };
  const status = { ...STATUS, conditions: [ready], tables: Array.from({ length: 5 }, () => LIVE) };
  const lines = drawScreen({ ...VIEW, status });
  assert.ok(lines.length <= 23, `${lines.length} lines`);
  const commands = lines.filter((line) => line.includes('src/main.ts'));
  assert.equal(commands.length, 4);
  for (const line of commands) assert.ok(line.lastIndexOf('$D') + '$D'.length <= 80, line);
});

test('both strategies are shown, and who is in the way of a swap, and what differs', () => {
  const waitsFor = 'waits for process 4711 (report) on public.orders';
  const waiting = { ...COPYING, resync: { strategy: 'swap', step: 'HandingOver', waitsFor } };
  const mismatch = { ...LIVE, verification: { result: 'Mismatch' as const, rows: 20_000 } };
  const lines = drawScreen({ ...VIEW, status: { ...STATUS, tables: [mismatch, waiting] } });
  assert.ok(lines.includes(`public.orders: ${waitsFor}`));
  assert.match(lines.join('\n'), /public\.customers .*│ Mismatch +│/);
});

test('an error is shown with its hint', () => {
  const error = { code: 'TableMissing', message: 'no public.orders', hint: 'Create it.' };
  const status = { ...STATUS, tables: [{ ...COPYING, phase: 'Failed' as const, error }] };
  assert.ok(
    drawScreen({ ...VIEW, status }).includes(
      'public.orders: no public.orders (TableMissing). Create it.',
    ),
  );
});

test('without a status file there is still a screen', () => {
  assert.match(drawScreen({ ...VIEW, status: undefined })[0] ?? '', /^shop: no status file yet/);
});

test('without a terminal a view is one line', () => {
  assert.match(drawLine(VIEW), /^shop: RESYNCING[^|]*\| public\.orders █/);
});

test('settled means live and verified, with every resync made', () => {
  assert.equal(isSettled(undefined), false);
  assert.equal(isSettled({ ...STATUS, tables: [] }), false);
  assert.equal(isSettled(STATUS), false);
  assert.equal(isSettled({ ...STATUS, tables: [LIVE] }), true);
  const due = { ...LIVE, resyncGeneration: { desired: 1, observed: 0 } };
  assert.equal(isSettled({ ...STATUS, tables: [due] }), false);
  const { verification: _verification, ...unverified } = LIVE;
  assert.equal(isSettled({ ...STATUS, tables: [unverified] }), false);
});
