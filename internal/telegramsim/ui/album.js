// The pictures of an album as one mosaic.

import { el } from './dom.js';
import { media } from './media.js';

// How many stand in each row, by how many there are.
const ROWS = { 2: [2], 3: [1, 2], 4: [2, 2], 5: [2, 3], 6: [3, 3], 7: [2, 2, 3], 8: [2, 3, 3], 9: [3, 3, 3], 10: [2, 2, 3, 3] };

/** The widths of the tiles of an album, in the order of its messages: how many share each one's row. */
export function sharing(count) {
  return (ROWS[count] ?? [count]).flatMap((row) => Array(row).fill(row));
}

/** The element of an album of pictures and films. */
export function album(messages) {
  const shares = sharing(messages.length);
  return el('div', { class: 'album', 'data-testid': 'album' },
    messages.map((m, i) => el('div', { class: 'tile', 'data-share': shares[i], 'data-message-id': m.message_id }, media(m))));
}
