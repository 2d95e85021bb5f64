;; A router of a contract that this host cannot know yet.
(component
  (instance $nothing)
  (export "sluicegate:plugin/about@9.0.0" (instance $nothing))
  (export "sluicegate:plugin/routing@9.0.0" (instance $nothing)))
