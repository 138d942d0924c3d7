-- Copyright The bpfmap-operator Authors.
-- SPDX-License-Identifier: Apache-2.0

-- Health of a BPFMap, as kstatus reads it, but for an object without status: that isn't healthy yet.
if obj.status == nil or obj.status.conditions == nil then
  return {status = "Progressing", message = "the controller has not looked at it yet"}
end
if obj.status.observedGeneration ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "the controller has not looked at the newest spec yet"}
end
local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local function is_true(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end
if is_true("Reconciling") then
  return {status = "Progressing", message = conditions.Reconciling.message}
end
if is_true("Stalled") then
  return {status = "Degraded", message = conditions.Stalled.message}
end
if is_true("Ready") then
  return {status = "Healthy", message = conditions.Ready.message}
end
-- Drift that driftPolicy Report only reports ends here.
if conditions.Ready ~= nil then
  return {status = "Progressing", message = conditions.Ready.message}
end
return {status = "Progressing", message = "there is no condition Ready yet"}
