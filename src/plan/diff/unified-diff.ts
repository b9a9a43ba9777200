import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import type { Page } from './canonical-page.ts';

/** What stands for a side that has nothing. */
const NOTHING = '/dev/null';

/**
 * One unified diff of all pages, each as a file of its own, so that its cost grows with the pages and not
 * with their square. Empty when there are none.
 */
export function unifiedDiff(pages: readonly Page[]): string {
  return pages
    .map(({ name, actual, desired }) =>
      createTwoFilesPatch(
        actual === undefined ? NOTHING : `actual/${name}`,
        desired === undefined ? NOTHING : `desired/${name}`,
        actual ?? '',
        desired ?? '',
        undefined,
        undefined,
        { context: 3, headerOptions: FILE_HEADERS_ONLY },
      ),
    )
    .join('');
}
