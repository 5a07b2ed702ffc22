import svelte from "eslint-plugin-svelte";
import ts from "typescript-eslint";
import svelteConfig from "./svelte.config.js";

export default ts.config(
  { ignores: ["node_modules", "src/openapi.d.ts"] },
  ts.configs.strictTypeChecked,
  svelte.configs.recommended,
  {
    languageOptions: {
      parserOptions: { projectService: true, extraFileExtensions: [".svelte"] },
    },
    rules: {
      // Numbers are what most of these texts are made of.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // An index that a loop keeps in bounds needs no check.
      "@typescript-eslint/no-non-null-assertion": "off",
      // What an agent sent is text, always.
      "svelte/no-at-html-tags": "error",
      // The policy of the pages forbids style attributes; style directives go another way.
      "no-restricted-syntax": ["error", 'SvelteAttribute[key.name="style"]'],
    },
  },
  {
    files: ["**/*.svelte", "**/*.svelte.ts"],
    languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
    // The linter does not see the types of other components' properties; svelte-check does.
    rules: {
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
    },
  },
  { files: ["*.js"], extends: [ts.configs.disableTypeChecked] },
);
