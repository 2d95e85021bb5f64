;; A component whose only export is no interface of the contract.
(component
  (instance $nothing)
  (export "elsewhere:plugin/steering@0.1.0" (instance $nothing)))
