/**
 * Loaded by `--import` into a daemon under test: at the checkpoint that the trap's file names it kills
 * the process, or holds it still until the test lets go. Nothing of it is known to the daemon.
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
import { CHECKPOINT_CHANNEL, type CheckpointMessage } from '../../src/core/checkpoint.ts';
import { passedFile, sprungFile, TRAP_VARIABLE, type TrapSetting } from './trap.ts';

/** Between two looks of a process that is held: it can do nothing else meanwhile. */
const HELD_LOOK_MS = 5;

const file = process.env[TRAP_VARIABLE];
if (file === undefined) throw new Error(`${TRAP_VARIABLE} is not set`);
let seen = 0;
let last: string | undefined;

subscribe(CHECKPOINT_CHANNEL, (message) => passing(file, message as CheckpointMessage));

/** Synchronous to its end: what publishes a checkpoint does not get past it before this returns. */
function passing(trap: string, { checkpoint, table }: CheckpointMessage): void {
  const line = `${table} ${checkpoint}\n`;
  // Of many ranges in a row once.
  if (line !== last) appendFileSync(passedFile(trap), line);
  last = line;
  if (!existsSync(trap)) return;
  const setting = JSON.parse(readFileSync(trap, 'utf8')) as TrapSetting;
  if (setting.checkpoint !== checkpoint || setting.table !== table) return;
  seen += 1;
  if (seen < setting.nth) return;
  seen = 0;
  renameSync(trap, sprungFile(trap));
  if (setting.action === 'kill') process.kill(process.pid, 'SIGKILL');
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (existsSync(sprungFile(trap))) Atomics.wait(never, 0, 0, HELD_LOOK_MS);
}
