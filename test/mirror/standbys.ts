import type { TestMirror } from './test-mirror.ts';

/** Whom commits at the source wait for, from now on: a name that nobody has makes them hang. */
export async function setStandbys(mirror: TestMirror, names: string): Promise<void> {
  await mirror.atSource(`alter system set synchronous_standby_names = '${names}'`);
  await mirror.atSource('select pg_reload_conf()');
}
