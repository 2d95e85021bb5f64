;; A function to import that hides in an instance under the contract's own name.
(component
  (import "sluicegate:plugin/types@0.1.0" (instance
    (export "send" (func (param "text" string)))))
  (instance $nothing)
  (export "sluicegate:plugin/about@0.1.0" (instance $nothing))
  (export "sluicegate:plugin/redaction@0.1.0" (instance $nothing)))
