;; Router and redactor in one: which limits should it have?
(component
  (instance $nothing)
  (export "sluicegate:plugin/about@0.1.0" (instance $nothing))
  (export "sluicegate:plugin/routing@0.1.0" (instance $nothing))
  (export "sluicegate:plugin/redaction@0.1.0" (instance $nothing)))
