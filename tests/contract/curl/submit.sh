curl --location 'https://api.segmind.com/finetune/request/submit' \
--header 'x-api-key: YOUR_API_KEY' \
--header 'Content-Type: application/json' \
--data '{
    "name": "fluxkontexttest1",
    "data_source_path": "DATA_SOURCE_PATH",
    "instance_prompt": "Change the hair color of the woman to bright red",
    "base_model": "FLUX",
    "train_type": "LORA",
    "machine_type": "NVIDIA_H100",
    "theme": "KONTEXT",
    "segmind_public": false,
    "advance_parameters": {
        "learning_rate": 0.0004,
        "steps": 300
    }
}'
