/** Copies a text by whichever way the web view allows: the clipboard's own, or a selection.
    False where it allows none: the text must then be shown so that it can be selected. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text: string): boolean {
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  field.className = 'offstage';
  const focused = document.activeElement as HTMLElement | null;
  (focused?.closest('dialog') ?? document.body).append(field);
  field.select();
  try {
    return document.execCommand('copy'); // the only way left in a frame without the permission
  } catch {
    return false;
  } finally {
    field.remove();
    focused?.focus();
  }
}
