/** A source that stops answering, without a word: its sessions are stopped, as a host that vanished. */
import test from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';

test('stop of a silent source', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    'create table a (id int primary key)',
  );
  await mirror.write({ tables: [{ source: 'public.a' }] });
  await mirror.start();
  await mirror.waitReady();
  const rows = await mirror.atSource(
    `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );
  const pids = rows.map((row) => Number(row['pid']));
  try {
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await new Promise((r) => setTimeout(r, Number(process.env['WAIT'] ?? 3000)));
    const startMs = performance.now();
    await mirror.stop();
    console.log('stop ms', performance.now() - startMs, pids, await mirror.readLog());
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
});
