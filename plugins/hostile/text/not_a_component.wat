;; A core module: valid WebAssembly, and no component.
(module
  (func (export "route")))
