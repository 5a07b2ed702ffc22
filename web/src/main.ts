import { mount } from "svelte";
import App from "./App.svelte";
import { preload } from "./pages";
import { route } from "./router.svelte";
import "./theme.css";
import { applyTheme } from "./theme";

applyTheme();
preload(route().page);
mount(App, { target: document.getElementById("app")! });
