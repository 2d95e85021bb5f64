;; The right names with no functions behind them: a type check has to notice.
(component
  (instance $nothing)
  (export "sluicegate:plugin/about@0.1.0" (instance $nothing))
  (export "sluicegate:plugin/routing@0.1.0" (instance $nothing)))
