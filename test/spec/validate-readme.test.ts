/** What the README says about `validate` in CI is YAML, and its commands are understood. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { programWith } from './validate-stage.ts';

const README = 'README.md';

/** The words of each `bunnydb validate` in a value that was read from YAML. */
function commandsIn(value: unknown): string[][] {
  if (typeof value === 'string')
    return [...value.matchAll(/bunnydb validate ([^\n>|&;]+)/g)].map(([, words = '']) =>
      words
        .trim()
        .split(/\s+/)
        .map((word) => word.replaceAll('"', '')),
    );
  return typeof value === 'object' && value !== null
    ? Object.values(value).flatMap(commandsIn)
    : [];
}

function validateCommand(): Command {
  const program = programWith(() => assert.fail());
  const command = program.commands.find((candidate) => candidate.name() === 'validate');
  assert.ok(command !== undefined);
  return command.exitOverride();
}

test('a workflow and a hook are in the README, and their commands are understood', () => {
  const blocks = [...readFileSync(README, 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms)]
    .map(([, text = '']) => text)
    .filter((text) => text.includes('bunnydb validate '));
  const documents = blocks.map((text) => parse(text) as Record<string, unknown>);
  assert.deepEqual(
    documents.map((document) => ['jobs', 'repos'].filter((key) => key in document)),
    [['jobs'], ['repos']],
  );
  const commands = commandsIn(documents);
  assert.ok(commands.length >= 2);
  for (const words of commands) {
    // Throws for an option or a value that is not known.
    const { operands, unknown } = validateCommand().parseOptions(words);
    assert.deepEqual(unknown, [], words.join(' '));
    assert.deepEqual(operands, ['mirrors.d']);
  }
});
