import { readFileSync } from 'node:fs';

/** Of the package, whose file lies as far from src/core as from dist/core. */
export function ownVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
