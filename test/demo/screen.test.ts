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
    mirrorFile: '/m/shop.yaml',
    statusFile: '/s/shop.yaml',
    daemonLog: '/d.log',
    sourceUrl: 'postgresql://source',
    copyUrl: 'postgresql://copy',
  },
};

test('the screen shows a bar for a copy and the lag for a live table', () => {
  const lines = drawScreen(VIEW);
  assert.match(
    lines[0] ?? '',
    /^shop: RESYNCING {3}50 writes\/s.*lag 0\.2 s, 4,096 B.*0\/1A2B3C4$/,
  );
  const row = (name: string): string => lines.find((line) => line.includes(name)) ?? '';
  assert.match(row('public.customers'), /Live.*lag 0\.2 s.*20,000 │ +19,999 │ Match/);
  assert.match(row('│ public.orders'), /Copying.*█{5}░{15} +25%.*0 → 1 swap/);
  const text = lines.join('\n');
  for (const place of Object.values(VIEW.places)) assert.ok(text.includes(place), place);
  const [box] = lines.slice(-1);
  assert.ok(lines.slice(-9).every((line) => line.length === box?.length));
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
  assert.match(drawLine(VIEW), /^shop: RESYNCING.*\| public\.orders █/);
});

test('settled means live, with every resync made', () => {
  assert.equal(isSettled(undefined), false);
  assert.equal(isSettled({ ...STATUS, tables: [] }), false);
  assert.equal(isSettled(STATUS), false);
  assert.equal(isSettled({ ...STATUS, tables: [LIVE] }), true);
  const due = { ...LIVE, resyncGeneration: { desired: 1, observed: 0 } };
  assert.equal(isSettled({ ...STATUS, tables: [due] }), false);
});
