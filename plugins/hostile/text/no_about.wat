;; A router that does not say what it is.
(component
  (instance $nothing)
  (export "sluicegate:plugin/routing@0.1.0" (instance $nothing)))
