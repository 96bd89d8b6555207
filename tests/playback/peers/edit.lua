-- A person at work, in Neovim's own LSP client: open, hover, complete, go to the definition, break, mend, quit.
-- The server's command is in the environment, as JSON; what Neovim was told goes into a file, as JSON.
local file, command = vim.env.EDITED_FILE, vim.json.decode(vim.env.SERVER_COMMAND)
local seen = { diagnostics = {} }

local function fail(reason)
  io.stderr:write('edit.lua: ' .. reason .. '\n')
  vim.cmd('cquit 3')
end

vim.cmd('edit ' .. vim.fn.fnameescape(file))
local buffer = vim.api.nvim_get_current_buf()
vim.bo[buffer].filetype = 'python'
local client_id = vim.lsp.start_client({
  name = 'recorded',
  cmd = command,
  root_dir = vim.fn.getcwd(),
  workspace_folders = { { uri = vim.uri_from_fname(vim.fn.getcwd()), name = 'project' } },
  on_init = function(started) -- as lspconfig does; older basedpyrights wait for settings
    started.notify('workspace/didChangeConfiguration', { settings = { basedpyright = vim.empty_dict() } })
  end,
  flags = { debounce_text_changes = 10 },
})
if not client_id then
  fail('no client')
end
local client = vim.lsp.get_client_by_id(client_id)
local reports = nil
vim.lsp.handlers['textDocument/publishDiagnostics'] = function(_, result, context)
  if result.uri == vim.uri_from_bufnr(buffer) then
    local messages = {}
    for _, diagnostic in ipairs(result.diagnostics) do
      table.insert(messages, diagnostic.range.start.line .. ': ' .. diagnostic.message)
    end
    table.sort(messages)
    seen.diagnostics[tostring(result.version)] = messages
    reports = result.version
  end
end
vim.lsp.buf_attach_client(buffer, client_id)

local function wait_report()
  local version = vim.lsp.util.buf_versions[buffer]
  if not vim.wait(30000, function() return reports == version end, 20) then
    fail('no report on version ' .. tostring(version))
  end
end

local function ask(method, params)
  local answers, problem = vim.lsp.buf_request_sync(buffer, method, params, 30000)
  if not answers then
    fail(method .. ': ' .. tostring(problem))
  end
  return answers[client_id].result
end

local function at(line, character)
  return { textDocument = { uri = vim.uri_from_bufnr(buffer) }, position = { line = line, character = character } }
end

local function change(first, last, lines)
  local version = vim.lsp.util.buf_versions[buffer]
  vim.api.nvim_buf_set_lines(buffer, first, last, false, lines)
  vim.wait(5000, function() return vim.lsp.util.buf_versions[buffer] ~= version end, 5)
  wait_report()
end

if not vim.wait(30000, function() return client.initialized and vim.lsp.util.buf_versions[buffer] ~= nil end, 20) then
  fail('not initialized')
end
wait_report()
seen.hover = ask('textDocument/hover', at(0, 5)).contents
seen.definition = ask('textDocument/definition', at(5, 18))
change(9, 9, { 'worse: int = "y"', 'Cart.' })
seen.completion = #(ask('textDocument/completion', at(10, 5)).items or {})
change(9, 11, {})
seen.symbols = ask('textDocument/documentSymbol', { textDocument = { uri = vim.uri_from_bufnr(buffer) } })
local out = io.open(vim.env.SEEN_FILE, 'w')
out:write(vim.json.encode(seen))
out:close()
vim.lsp.stop_client(client_id)
vim.wait(5000, function() return vim.lsp.client_is_stopped(client_id) end, 20)
vim.cmd('qall!')
