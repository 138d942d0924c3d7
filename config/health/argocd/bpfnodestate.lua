-- Copyright The bpfmap-operator Authors.
-- SPDX-License-Identifier: Apache-2.0

-- Health of a BPFNodeState: whether its agent can manage maps at all. If not, people have to act. While the node or
-- its agent isn't there, nothing is known.
local conditions = obj.status ~= nil and obj.status.conditions or {}
for _, condition in ipairs(conditions) do
  if condition.type == "Ready" then
    if condition.status == "True" then
      return {status = "Healthy", message = condition.message}
    elseif condition.status == "False" then
      return {status = "Degraded", message = condition.message}
    end
    return {status = "Progressing", message = condition.message}
  end
end
return {status = "Progressing", message = "the agent has not reported yet"}
