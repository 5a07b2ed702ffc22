/** The components use no preprocessor: Svelte itself removes the types. */
export default {};
