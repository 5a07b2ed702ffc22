/** Whether the command palette is open, which a key and a button of the header decide. */

type Palette = (typeof import("./Palette.svelte"))["default"];

let isOpen = $state(false);
let loaded = $state.raw<Palette | null>(null);

export function isPaletteOpen(): boolean {
  return isOpen;
}

export function openPalette(): void {
  isOpen = true;
}

export function closePalette(): void {
  isOpen = false;
}

/** Return the palette once it is loaded. From then on it opens before the next key press. */
export function palette(): Palette | null {
  return loaded;
}

/** Load the palette, once. */
export async function loadPalette(): Promise<{ default: Palette }> {
  const found = await import("./Palette.svelte");
  loaded = found.default;
  return found;
}
