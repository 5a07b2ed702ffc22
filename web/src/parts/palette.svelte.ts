/** Whether the command palette is open, which a key and a button of the header decide. */

let isOpen = $state(false);

export function isPaletteOpen(): boolean {
  return isOpen;
}

export function openPalette(): void {
  isOpen = true;
}

export function closePalette(): void {
  isOpen = false;
}

/** Load the palette; repeated, it is there already. */
export function loadPalette(): Promise<typeof import("./Palette.svelte")> {
  return import("./Palette.svelte");
}
